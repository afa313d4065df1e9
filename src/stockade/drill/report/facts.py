"""What a report says about a trial and about a scenario, as values: the page and the JSON show the same ones. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stockade.drill import metrics
from stockade.drill.history import COMPLETIONS, SECOND_NS, Event, History, Kind
from stockade.drill.metrics import Operation
from stockade.drill.report.model import Campaign, Trial
from stockade.drill.statistics import Spread, Summary, clopper_pearson, spread, summarize
from stockade.drill.verdict import Judgement, StreamFigures, Verdict, Window, merged


@dataclass(frozen=True, slots=True)
class Failure:
    """An operation that did not succeed. Times in seconds since the trial began."""

    start_s: float
    latency_s: float
    stream: str
    outcome: str
    """`failed`, `unknown`, or `no end` for a write that was sent and of which the history has no end."""
    where: str
    """Endpoint, node and key, as far as the history has them."""
    error: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """When every stream succeeded again, in seconds since the injection; or until when it had not."""

    at_s: float
    healed: bool


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a trial, in seconds since it began."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """One trial. `out` and `back` are of the streams whose error windows were longest there, None if none failed."""

    trial: Trial
    measured: bool
    """False if it proved nothing: then its windows are not counted, because they would be zeros of no meaning."""
    out: StreamFigures | None
    back: StreamFigures | None
    unavailable_s: float
    """Of the stream for which it was longest."""
    lost: int | None
    """Acknowledged records that at least one controller does not have; None if they were not looked for."""
    recovery: Recovery | None
    """None without an injection."""
    phases: tuple[Phase, ...]
    operations: Mapping[str, Sequence[Operation]]
    """By stream, each by intended start."""
    failures: tuple[Failure, ...]

    @property
    def judgement(self) -> Judgement:
        """What was judged about it."""
        return self.trial.judgement

    @property
    def zero_s(self) -> float:
        """The injection, from which figures count; 0 without one. In seconds since the trial began."""
        return (self.trial.history.step_ns("inject") or 0) / SECOND_NS

    @property
    def rank(self) -> tuple[bool, float]:
        """The longer its worst error window, the greater."""
        upper = upper_s(self.out.out) if self.out else 0.0
        return upper is None, upper or 0.0


@dataclass(frozen=True, slots=True)
class CampaignFacts:
    """All trials of one scenario."""

    campaign: Campaign
    trials: tuple[TrialFacts, ...]
    summary: Summary
    verdict: Verdict
    passing: tuple[float, float]
    """Clopper-Pearson interval of the share of trials that pass."""
    worst: Spread
    """Of each trial's longest error window between injection and heal."""
    back: Spread
    """Of each trial's longest error window from the heal on."""

    @property
    def measured(self) -> tuple[TrialFacts, ...]:
        """The trials that proved something."""
        return tuple(each for each in self.trials if each.measured)

    @property
    def lost(self) -> int | None:
        """Lost records of all trials; None if they were looked for in none."""
        known = [each.lost for each in self.trials if each.lost is not None]
        return sum(known) if known else None


def campaign_facts(campaign: Campaign) -> CampaignFacts:
    """What is said about a scenario. Raises ValueError without a trial, or with trials of several scenarios."""
    judgements = [each.judgement for each in campaign.trials]
    summary = summarize(judgements)
    trials = tuple(trial_facts(each) for each in campaign.trials)
    measured = [each for each in trials if each.measured]
    return CampaignFacts(
        campaign=campaign,
        trials=trials,
        summary=summary,
        verdict=merged(each.verdict for each in judgements),
        passing=clopper_pearson(summary.passed, summary.trials),
        worst=spread(each.out.out if each.out else None for each in measured),
        back=spread(each.back.back if each.back else None for each in measured),
    )


def trial_facts(trial: Trial) -> TrialFacts:
    """What is said about one trial."""
    judgement = trial.judgement
    return TrialFacts(
        trial=trial,
        measured=_measured(judgement),
        out=_longest(judgement.streams, {each.stream: each.out for each in judgement.streams}),
        back=_longest(judgement.streams, {each.stream: each.back for each in judgement.streams}),
        unavailable_s=max((each.unavailable_s for each in judgement.streams), default=0.0),
        lost=lost(trial.history),
        recovery=_recovery(trial),
        phases=phases(judgement),
        operations=(operations := metrics.operations(trial.history)),
        failures=failures(trial.history, operations),
    )


def upper_s(window: Window | None) -> float | None:
    """Upper bound of an error window in seconds; 0 of none, None if it had not ended."""
    if window is None:
        return 0.0
    return None if window.upper_ns is None else window.upper_ns / SECOND_NS


def lower_s(window: Window | None) -> float:
    """Lower bound of an error window in seconds; 0 of none."""
    return 0.0 if window is None else window.lower_ns / SECOND_NS


def threshold(expected: Mapping[str, float], stream: str) -> float | None:
    """The strictest of what is expected of `stream`; `*` in a scenario's names stands for anything."""
    return min((value for name, value in expected.items() if fnmatchcase(stream, name)), default=None)


def lost(history: History) -> int | None:
    """Acknowledged records that are not on every controller, and those that the VM's volume does not have.

    None if nobody looked, and if nothing is missing where somebody looked but not everybody could be asked.
    """
    found = (_lost_of_the_set(history), _lost_of_the_volume(history))
    known = [each for each in found if each is not None]
    return sum(known) if known else None


def _lost_of_the_set(history: History) -> int | None:
    acknowledged = {each.key for each in history.kind(Kind.OK) if each.f == "set-add"}
    looks = {each.node: each for each in history.observed("set-read")}.values()
    lists = [set(each.value) for each in looks if not each.error and isinstance(each.value, list)]
    missing = {key for key in acknowledged if any(key not in each for each in lists)}
    return len(missing) if missing or (lists and len(lists) == len(looks)) else None


def _lost_of_the_volume(history: History) -> int | None:
    answers = [each.value for each in history.kind(Kind.OK) if each.f == "writer" and isinstance(each.value, dict)]
    looks = [each.value for each in history.observed("volume") if not each.error and isinstance(each.value, dict)]
    numbers = [each["last"] for each in (*answers, *looks[-1:]) if isinstance(each.get("last"), int)]
    if not looks or len(numbers) != len(answers) + 1:
        return None
    return int(max(0, max(numbers) - numbers[-1]))


def _measured(judgement: Judgement) -> bool:
    meaningful = [each.verdict for each in judgement.findings if each.id == "V1"]
    return judgement.verdict is Verdict.FAIL or (bool(meaningful) and set(meaningful) == {Verdict.PASS})


def _longest(streams: Iterable[StreamFigures], windows: Mapping[str, Window | None]) -> StreamFigures | None:
    """The stream with the longest window; one that had not ended is longer than any other."""

    def length(figures: StreamFigures) -> tuple[bool, float, float]:
        window = windows[figures.stream]
        upper = upper_s(window)
        return upper is None, upper or 0.0, lower_s(window)

    return max((each for each in streams if windows[each.stream]), key=length, default=None)


def _recovery(trial: Trial) -> Recovery | None:
    injected = trial.history.step_ns("inject")
    if injected is None:
        return None
    windows = [each.out for each in trial.judgement.streams if each.out]
    if any(each.first_ok_after_ns is None for each in windows):
        return Recovery((trial.history.end_ns - injected) / SECOND_NS, healed=False)
    last = max((each.first_ok_after_ns or 0 for each in windows), default=injected)
    return Recovery(max(0, last - injected) / SECOND_NS, healed=True)


def phases(judgement: Judgement) -> tuple[Phase, ...]:
    """The parts that this trial has, in the order in which they are expected."""
    at = dict(judgement.times_s)
    windows = [each.out for each in judgement.streams if each.out]
    if windows:
        at["first failure"] = min(each.first_fail_ns for each in windows) / SECOND_NS
        at["last failure"] = max(each.last_fail_ns for each in windows) / SECOND_NS
        if all(each.first_ok_after_ns is not None for each in windows):
            at["success everywhere"] = max(each.first_ok_after_ns or 0 for each in windows) / SECOND_NS
    known = (
        ("injected, until seen to have taken effect", "inject", "confirmed"),
        ("injected, until the first failure", "inject", "first failure"),
        ("first failure to last failure", "first failure", "last failure"),
        ("last failure to success everywhere", "last failure", "success everywhere"),
        ("fault in force, injection to heal", "inject", "heal"),
        ("healing, until seen to be gone", "heal", "healed"),
        ("heal to the cloud complete again", "heal", "redundant"),
    )
    found = ((name, at.get(start), at.get(end)) for name, start, end in known)
    # One that was under way at the injection failed before it, as it were: that is no part of the trial.
    return tuple(
        Phase(name, start, end) for name, start, end in found if start is not None and end is not None and start <= end
    )


def failures(history: History, operations: Mapping[str, Sequence[Operation]]) -> tuple[Failure, ...]:
    """Every operation that failed or whose outcome is unknown, by intended start."""
    found = [_failure(each) for each in history.completions() if each.kind is not Kind.OK]
    ended = Counter(
        (each.f, each.time_ns if each.start_ns is None else each.start_ns, each.key)
        for each in history.kind(*COMPLETIONS)
    )
    for stream, done in operations.items():
        for each in done:
            identity = (stream, each.start_ns, each.key)
            ended[identity] -= 1
            if ended[identity] < 0:
                start, lasted = each.start_ns / SECOND_NS, each.latency_ns / SECOND_NS
                found.append(Failure(start, lasted, stream, "no end", each.key or "", "sent, and no end was recorded"))
    return tuple(sorted(found, key=lambda each: (each.start_s, each.stream)))


def _failure(event: Event) -> Failure:
    return Failure(
        start_s=(event.time_ns if event.start_ns is None else event.start_ns) / SECOND_NS,
        latency_s=event.latency_ns / SECOND_NS,
        stream=event.f,
        outcome="failed" if event.kind is Kind.FAIL else "unknown",
        where=" ".join(each for each in (event.endpoint, event.node, event.key) if each),
        error=event.error or "",
    )
