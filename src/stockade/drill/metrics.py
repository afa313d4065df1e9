"""From the history of one trial to figures for each stream of operations. Pure.

Everything is by intended start. An operation that hung is a sample of the moment at which a user began to wait, not
of the moment at which the wait ended.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stockade.drill.history import COMPLETIONS, SECOND_NS, Event, History, Kind
from stockade.drill.verdict import StreamFigures, Window

BIN_NS = SECOND_NS
DATA_PATH_BIN_NS = SECOND_NS // 10
FAILED_RATIO_NS = 60 * SECOND_NS
DEGRADED_BIN_NS = 10 * SECOND_NS
SLOWER = 1.5
"""Times the baseline's p95 that count as not degraded."""
MORE_FAILURES = 0.001
"""Above the baseline's share of failures that count as not degraded."""
BASELINE_MIN = 20
"""Successes in the baseline below which `degraded_s` is not told: the 95th percentile of fewer is their maximum, so
that one slow answer would set the bar for all that follows. In a window few operations do no such harm: there one slow
answer makes the figure longer, never shorter."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a user asked for and what came of it. Times in nanoseconds since the trial began."""

    stream: str
    kind: Kind
    """OK, FAIL or INFO; INFO, too, if the history has no end of it."""
    start_ns: int
    """When it was meant to start."""
    end_ns: int
    """When it ended; the end of the history if it did not."""
    lag_ns: int | None
    key: str | None
    value: Any
    deadline_ns: int | None = None
    """How long an answer may take before it is as good as none; None: as long as its user waits."""

    @property
    def ok(self) -> bool:
        """It must have happened."""
        return self.kind is Kind.OK

    @property
    def served(self) -> bool:
        """It happened in time. A hang that ends well in the end is an outage all the same."""
        return self.ok and (self.deadline_ns is None or self.latency_ns <= self.deadline_ns)

    @property
    def latency_ns(self) -> int:
        """From the intended start to the end."""
        return self.end_ns - self.start_ns

    @property
    def sent_ns(self) -> int:
        """When it really started, as far as that is known."""
        return self.start_ns + (self.lag_ns or 0)


@dataclass(frozen=True, slots=True)
class Span:
    """The trial's phases, in nanoseconds since it began; None for what never came."""

    begin_ns: int
    """The load's beginning."""
    inject_ns: int | None
    heal_ns: int | None
    end_ns: int

    def hit(self, operation: Operation) -> bool:
        """It belongs to the time between injection and heal. One that was under way at the injection belongs there
        if it failed: the fault may be why."""
        if self.inject_ns is None:
            return False
        if operation.start_ns < self.inject_ns:
            return not operation.served and operation.end_ns >= self.inject_ns
        return self.heal_ns is None or operation.start_ns < self.heal_ns

    def after_heal(self, operation: Operation) -> bool:
        """It was meant to start when the heal had begun."""
        return self.inject_ns is not None and self.heal_ns is not None and operation.start_ns >= self.heal_ns

    def before_fault(self, operation: Operation) -> bool:
        """It belongs to the baseline."""
        return self.inject_ns is None or (operation.start_ns < self.inject_ns and not self.hit(operation))

    def since_fault(self, operation: Operation) -> bool:
        """It was meant to start at the injection or later."""
        return self.inject_ns is not None and operation.start_ns >= self.inject_ns


def span(history: History) -> Span:
    """The phases of this trial."""
    begin = next((each.time_ns for each in history.observed("load") if each.key == "begin"), 0)
    return Span(begin, history.step_ns("inject"), history.step_ns("heal"), history.end_ns)


def promised(history: History) -> dict[str, float]:
    """Rate of each stream, in operations per second, that the load said it would offer."""
    begin = next((each.value for each in history.observed("load") if each.key == "begin"), None) or {}
    return {name: float(stream["rate"]) for name, stream in sorted(begin.get("streams", {}).items())}


def _deadlines_ns(history: History) -> dict[str, int]:
    begin = next((each.value for each in history.observed("load") if each.key == "begin"), None) or {}
    streams = begin.get("streams", {})
    return {
        name: round(float(each["deadline_s"]) * SECOND_NS) for name, each in streams.items() if "deadline_s" in each
    }


def operations(history: History) -> dict[str, tuple[Operation, ...]]:
    """All operations by stream, each by intended start. One that was sent and has no end is of unknown outcome."""
    deadlines = _deadlines_ns(history)
    found: dict[str, list[Operation]] = {name: [] for name in history.streams()}
    under_way: dict[tuple[str, str | None], deque[Event]] = defaultdict(deque)
    for event in history.events:
        if event.kind is Kind.INVOKE:
            under_way[event.f, event.key].append(event)
        elif event.kind in COMPLETIONS:
            # What the cloud itself names, a VM, has no key yet when it is asked for.
            if invoked := under_way[event.f, event.key] or under_way[event.f, None]:
                invoked.popleft()
            found[event.f].append(_operation(event, event.kind, event.time_ns, deadlines.get(event.f)))
    for events in under_way.values():
        for event in events:
            found[event.f].append(_operation(event, Kind.INFO, history.end_ns, deadlines.get(event.f)))
    return {name: tuple(sorted(each, key=lambda one: (one.start_ns, one.end_ns))) for name, each in found.items()}


def _operation(event: Event, kind: Kind, end_ns: int, deadline_ns: int | None) -> Operation:
    start = event.time_ns if event.start_ns is None else event.start_ns
    return Operation(event.f, kind, start, end_ns, event.lag_ns, event.key, event.value, deadline_ns)


def percentile(values: Iterable[int], percent: int) -> int | None:
    """By nearest rank: a value that occurred, at least `percent` of all not above it. None of none."""
    ranked = sorted(values)
    return ranked[-(-percent * len(ranked) // 100) - 1] if ranked else None


def figures(history: History) -> tuple[StreamFigures, ...]:
    """Of each stream, by name; also of one that was promised and offered nothing."""
    phases, found = span(history), operations(history)
    return tuple(stream_figures(name, found.get(name, ()), phases) for name in sorted({*found, *promised(history)}))


def stream_figures(stream: str, done: Sequence[Operation], phases: Span) -> StreamFigures:
    """Of one stream, whose operations are in the order of their intended starts."""
    baseline = [each.latency_ns for each in done if each.ok and phases.before_fault(each)]
    faulty = [each.latency_ns for each in done if each.ok and phases.hit(each)]
    out, back = _failures(done, phases)
    return StreamFigures(
        stream=stream,
        offered=len(done),
        ok=sum(each.ok for each in done),
        fail=sum(each.kind is Kind.FAIL for each in done),
        info=sum(each.kind is Kind.INFO for each in done),
        out=window(done, out),
        back=window(done, back),
        unavailable_s=_unavailable_ns(stream, done, phases) / SECOND_NS,
        failed_ratio=_failed_ratio(done, phases),
        baseline_p50_ms=_ms(percentile(baseline, 50)),
        baseline_p95_ms=_ms(percentile(baseline, 95)),
        fault_p50_ms=_ms(percentile(faulty, 50)),
        fault_p95_ms=_ms(percentile(faulty, 95)),
        degraded_s=_degraded_s(done, phases),
        lag_p99_ms=_ms(percentile([each.lag_ns for each in done if each.lag_ns is not None], 99)),
    )


def _failures(done: Sequence[Operation], phases: Span) -> tuple[list[Operation], list[Operation]]:
    """What was not served between injection and heal, and from the heal on.

    What was under way at the heal belongs to the fault, unless the stream had already recovered from it: then it is
    the return that broke it.
    """
    out = [each for each in done if not each.served and phases.hit(each)]
    back = [each for each in done if not each.served and phases.after_heal(each)]
    heal_ns = phases.heal_ns
    if heal_ns is None:
        return out, back
    ended = [each for each in done if phases.hit(each) and each.end_ns < heal_ns]
    if ended and ended[-1].served:
        late = [each for each in out if heal_ns <= each.end_ns < phases.end_ns]
        return [each for each in out if each not in late], late + back
    return out, back


def window(done: Sequence[Operation], failed: Sequence[Operation]) -> Window | None:
    """The error window of these failures, both in the order of intended starts; None without a failure.

    The successes around it are looked for in the whole trial: a window that ends with its phase would be cut short.
    """
    if not failed:
        return None
    first, last = failed[0].start_ns, failed[-1].start_ns
    successes = [each.start_ns for each in done if each.served]
    return Window(
        first_fail_ns=first,
        last_fail_ns=last,
        last_ok_before_ns=max((each for each in successes if each < first), default=None),
        first_ok_after_ns=min((each for each in successes if each > last), default=None),
    )


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1_000_000


def _binned(done: Iterable[Operation], phases: Span, width_ns: int) -> Mapping[int, Collection[Operation]]:
    """Operations from the injection on, by the bin their intended start is in; bins without any are left out."""
    bins: dict[int, list[Operation]] = defaultdict(list)
    for each in done:
        if phases.inject_ns is not None and each.start_ns >= phases.inject_ns:
            bins[(each.start_ns - phases.inject_ns) // width_ns].append(each)
    return bins


def _unavailable_ns(stream: str, done: Sequence[Operation], phases: Span) -> int:
    width = DATA_PATH_BIN_NS if stream == "udp" else BIN_NS
    bins = _binned(done, phases, width).values()
    return width * sum(2 * sum(each.served for each in offered) < len(offered) for offered in bins)


def _failed_ratio(done: Sequence[Operation], phases: Span) -> float | None:
    first_minute = _binned(done, phases, FAILED_RATIO_NS).get(0, ())
    return _ratio(first_minute) if first_minute else None


def _ratio(offered: Collection[Operation]) -> float:
    return sum(not each.served for each in offered) / len(offered)


def _degraded_s(done: Sequence[Operation], phases: Span) -> float | None:
    """From the injection to the end of the last window that is slower or has more failures than the baseline.

    None with a baseline of fewer than `BASELINE_MIN` successes, and if no window after that one shows it recovered.
    """
    baseline = [each for each in done if phases.before_fault(each)]
    bar = percentile([each.latency_ns for each in baseline if each.ok], 95)
    bins = _binned(done, phases, DEGRADED_BIN_NS)
    if bar is None or sum(each.ok for each in baseline) < BASELINE_MIN or not bins:
        return None
    failures = _ratio(baseline) + MORE_FAILURES
    recovered_at = 0
    for number, offered in sorted(bins.items()):
        p95 = percentile([each.latency_ns for each in offered if each.ok], 95)
        if p95 is None or p95 > SLOWER * bar or _ratio(offered) > failures:
            recovered_at = number + 1
    return None if recovered_at > max(bins) else recovered_at * DEGRADED_BIN_NS / SECOND_NS
