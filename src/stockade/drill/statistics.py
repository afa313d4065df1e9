"""From trials to what may be said about a cloud. The unit is the trial: operations within one outage are not
independent of each other. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stockade.drill.history import SECOND_NS
from stockade.drill.verdict import Judgement, Verdict, Window

CONFIDENCE = 0.95
_HALVINGS = 60
"""Of the interval from 0 to 1: more than a double can tell apart."""


def clopper_pearson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided exact interval of a proportion. Its bounds are one-sided ones at (1 + confidence) / 2."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no proportion")
    tail = (1 - confidence) / 2
    lower = 0.0 if successes == 0 else _crossing(lambda p: _at_least(successes, n, p) < tail)
    upper = 1.0 if successes == n else _crossing(lambda p: 1 - _at_least(successes + 1, n, p) > tail)
    return lower, upper


def _crossing(below: Callable[[float], bool]) -> float:
    """Where `below`, true for small numbers, becomes false."""
    low, high = 0.0, 1.0
    for _halving in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _at_least(k: int, n: int, p: float) -> float:
    """Probability of k or more successes in n trials."""
    if p in (0.0, 1.0):
        return p
    # Through logarithms, because the binomial coefficients of a long campaign are beyond a double.
    whole = math.lgamma(n + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p))
        for i in range(k, n + 1)
    )


def success_run_bound(n: int, confidence: float = CONFIDENCE) -> float:
    """The highest failure rate that n trials without a failure leave possible, one-sided."""
    return float(1 - (1 - confidence) ** (1 / n))


def median(values: Iterable[float]) -> float | None:
    """The middle value, or the mean of the two middle ones; None of none."""
    ranked = sorted(values)
    if not ranked:
        return None
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2


def median_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Two of the values between which the median lies with at least this confidence, whatever the distribution.

    None if even the smallest and the largest do not reach it: at 95 % with fewer than 6 values.
    """
    ranked = sorted(values)
    n, rank, outside = len(ranked), 0, 0.0
    for below in range(n // 2):
        outside += math.comb(n, below) / 2**n
        if 2 * outside > 1 - confidence:
            break
        rank = below + 1
    return (ranked[rank - 1], ranked[n - rank]) if rank else None


def kaplan_meier(times: Iterable[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Steps (time, share not healed from then on), beginning at (0, 1).

    Each time is when a trial healed or, with False, until when it was seen not to have healed.
    """
    left = sorted(times)
    steps, share = [(0.0, 1.0)], 1.0
    for time in sorted({time for time, healed in left if healed}):
        at_risk = sum(each >= time for each, _healed in left)
        share *= 1 - sum(healed for each, healed in left if each == time) / at_risk
        steps.append((time, share))
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Spread:
    """Upper bounds of one error window over all trials, in seconds; 0 where nothing failed."""

    points_s: tuple[float, ...]
    """Of each trial in which it ended, in the order of the trials."""
    unhealed: int
    """Trials in which it had not ended when the trial did. None of them is among the points."""
    median_s: float | None
    """With the unhealed ones longer than any other; None if it lies among them."""
    max_s: float | None
    """None if any is unhealed: then nobody knows."""


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream over all trials."""

    out: Spread
    """Failures between injection and heal."""
    back: Spread
    """Failures from the heal on."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A campaign: all trials of one scenario."""

    scenario: str
    digest: str
    trials: int
    passed: int
    failed: int
    unknown: int
    healed: int
    """Trials in which every finding of liveness is PASS."""
    streams: dict[str, StreamSummary]


def summarize(judgements: Sequence[Judgement]) -> Summary:
    """All trials of one scenario in one value. Raises ValueError if they are none, or of several scenarios.

    A trial that proved nothing (V1 not PASS, and no FAIL) is counted, but its windows are not: of a fault that never
    took effect they would be zeros.
    """
    kinds = {(each.scenario, each.digest) for each in judgements}
    if len(kinds) != 1:
        raise ValueError(f"{len(kinds)} scenarios in one campaign, and not exactly one")
    ((scenario, digest),) = kinds
    verdicts = [each.verdict for each in judgements]
    measured = [each for each in judgements if each.verdict is Verdict.FAIL or _passes(each, "V1")]
    names = sorted({figures.stream for each in measured for figures in each.streams})
    return Summary(
        scenario=scenario,
        digest=digest,
        trials=len(verdicts),
        passed=verdicts.count(Verdict.PASS),
        failed=verdicts.count(Verdict.FAIL),
        unknown=verdicts.count(Verdict.UNKNOWN),
        healed=sum(_passes(each, "L") for each in judgements),
        streams={name: _stream_summary(name, measured) for name in names},
    )


def _passes(judgement: Judgement, id_prefix: str) -> bool:
    found = [each.verdict for each in judgement.findings if each.id.startswith(id_prefix)]
    return bool(found) and set(found) == {Verdict.PASS}


def _stream_summary(name: str, judgements: Iterable[Judgement]) -> StreamSummary:
    # One that offered nothing has no error window either, and is no trial without errors.
    figures = [each for judgement in judgements for each in judgement.streams if each.stream == name and each.offered]
    return StreamSummary(out=spread(each.out for each in figures), back=spread(each.back for each in figures))


def spread(windows: Iterable[Window | None]) -> Spread:
    """Of one window per trial; None for a trial without a failure, which counts as 0."""
    bounds = [0 if each is None else each.upper_ns for each in windows]
    points = tuple(each / SECOND_NS for each in bounds if each is not None)
    unhealed = len(bounds) - len(points)
    middle = median([*points, *[math.inf] * unhealed])
    return Spread(
        points_s=points,
        unhealed=unhealed,
        median_s=middle if middle is not None and math.isfinite(middle) else None,
        max_s=max(points, default=None) if not unhealed else None,
    )
