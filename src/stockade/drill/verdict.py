"""What a trial is judged to be: values that the checkers make, and that the report and the command line show. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """PASS, FAIL, or UNKNOWN where the evidence is not enough; UNKNOWN is never shown as good."""

    PASS = "PASS"
    UNKNOWN = "UNKNOWN"
    FAIL = "FAIL"


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; UNKNOWN of none at all, because nothing was looked at."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one checker found."""

    id: str
    """Its name in docs/design/drill.md: S1, L1, V1, or `T <stream>` for a threshold of the scenario."""
    title: str
    verdict: Verdict
    sentence: str
    evidence: tuple[str, ...] = ()
    """At most `checkers.case.EVIDENCE_MAX` lines."""


@dataclass(frozen=True, slots=True)
class Window:
    """An error window by intended start times: the truth lies between the bounds.

    `upper_ns` is None if no operation succeeded after the last failure: it had not ended when the trial did.
    """

    first_fail_ns: int
    last_fail_ns: int
    last_ok_before_ns: int | None
    first_ok_after_ns: int | None

    @property
    def lower_ns(self) -> int:
        """From the first failure to the last."""
        return self.last_fail_ns - self.first_fail_ns

    @property
    def upper_ns(self) -> int | None:
        """From the last success before to the first one after."""
        if self.first_ok_after_ns is None:
            return None
        before = self.first_fail_ns if self.last_ok_before_ns is None else self.last_ok_before_ns
        return self.first_ok_after_ns - before


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One stream of operations in one trial. Times in seconds or milliseconds as named."""

    stream: str
    offered: int
    ok: int
    fail: int
    info: int
    out: Window | None
    """Between injection and heal."""
    back: Window | None
    """From the heal on."""
    unavailable_s: float
    """Sum of the bins, from the injection on, in which fewer than half of the offered operations succeeded."""
    failed_ratio: float | None
    """Of the operations offered in the 60 s after the injection."""
    baseline_p50_ms: float | None
    baseline_p95_ms: float | None
    fault_p50_ms: float | None
    """Between injection and heal, of those that succeeded."""
    fault_p95_ms: float | None
    degraded_s: float | None
    """From the injection until it is as fast and as free of errors as before, and stays so; None if it never was."""
    lag_p99_ms: float | None
    """How late the probe itself was."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One trial, judged."""

    scenario: str
    digest: str
    trial: int
    seed: int
    verdict: Verdict
    """What the scenario expects being FAIL is already taken into account."""
    findings: tuple[Finding, ...]
    streams: tuple[StreamFigures, ...]
    target: tuple[str, ...]
    """Hosts that were hit."""
    times_s: dict[str, float] = field(default_factory=dict)
    """When, since the trial began: inject, confirmed, heal, healed, redundant, end; what never came is missing."""
