"""What all figures of a trial share: the axis of time, the band of the fault, and what happened as numbered marks.

Seconds in figures count from the injection, so that trials can be laid beside one another; before it they are
negative. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stockade.drill.history import SECOND_NS, Kind
from stockade.drill.report import svg
from stockade.drill.report.facts import TrialFacts
from stockade.drill.report.text import cut, escape

MARKS_MAX = 40
"""Of one trial; of more, the fault's steps and the first others are shown."""
OUTAGE_MAX = 0.5
"""Share of a trial above which the outage is no closer look at it."""
APART = 0.095
"""Share of the width below which two numbers would lie on each other on a phone; they share one then."""
STEPS = {
    "inject": "the fault was asked for", "confirmed": "it was seen to have taken effect",
    "heal": "the heal began", "healed": "nothing of the fault was left", "gave-up": "the heal gave up",
}  # fmt: skip
OBSERVED = {"vip-owner": "vip", "tcp-session": "tcp"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment, in seconds since the trial began."""

    at_s: float
    kind: str
    """fault, guard, vip, tcp or whole: the kind of line that is drawn."""
    text: str


def marks(facts: TrialFacts) -> tuple[Mark, ...]:
    """What happened, by time."""
    found = [*_of_the_fault(facts), *_others(facts)[: MARKS_MAX - len(STEPS) - 1]]
    return tuple(sorted(found, key=lambda each: each.at_s))


def _of_the_fault(facts: TrialFacts) -> list[Mark]:
    history = facts.trial.history
    found = [
        Mark(event.time_ns / SECOND_NS, "fault", f"{event.f}: {STEPS[event.f]}")
        for event in history.kind(Kind.NEMESIS)
        if event.f in STEPS and event.time_ns == history.step_ns(event.f)
    ]
    whole = facts.judgement.times_s.get("redundant")
    return found if whole is None else [*found, Mark(whole, "whole", "the cloud called itself complete again")]


def _others(facts: TrialFacts) -> list[Mark]:
    """Decisions of the guard, and changes seen from outside. What was so from the beginning is no change."""
    found, known = [], set()
    for event in facts.trial.history.kind(Kind.GUARD, Kind.OBSERVE):
        at, subject = event.time_ns / SECOND_NS, f"{event.f} {event.key}"
        if event.kind is Kind.GUARD:
            found.append(
                Mark(at, "guard", f"guard{f' on {event.node}' if event.node else ''}: {cut(event.value, 200)}")
            )
        elif event.f in OBSERVED and subject in known:
            what = f"VIP {event.key} is at" if event.f == "vip-owner" else "TCP session"
            found.append(Mark(at, OBSERVED[event.f], f"{what} {cut(event.value, 200)}"))
        known.add(subject)
    return found


def left_out(facts: TrialFacts) -> int:
    """How many marks are not shown."""
    return max(0, len(_others(facts)) - (MARKS_MAX - len(STEPS) - 1))


def time_scale(facts: TrialFacts) -> svg.Scale:
    """From the trial's begin to its end, in seconds since it began."""
    return svg.Scale(0, max(facts.trial.history.end_ns / SECOND_NS, 1))


def outage_scale(facts: TrialFacts) -> svg.Scale | None:
    """The fault's first failures until every stream succeeded again, with what is around them.

    None if nothing failed, and if that is most of the trial.
    """
    windows = [each.out for each in facts.judgement.streams if each.out]
    if not windows:
        return None
    begin = min(facts.zero_s, *(each.first_fail_ns / SECOND_NS for each in windows))
    end = max((each.first_ok_after_ns or each.last_fail_ns) / SECOND_NS for each in windows)
    around = max(2.0, 0.25 * (end - begin))
    whole = time_scale(facts)
    scale = svg.Scale(max(whole.low, begin - around), min(whole.high, end + around))
    return None if scale.high - scale.low > OUTAGE_MAX * (whole.high - whole.low) else scale


def axis(scale: svg.Scale, zero_s: float = 0) -> tuple[svg.Label, ...]:
    """Labels of the axis of time, in seconds since `zero_s`."""
    shown = svg.ticks(scale.low - zero_s, scale.high - zero_s)
    return tuple(
        svg.Label(scale.share(each + zero_s), f"{each:g} s" if each == shown[-1] else f"{each:g}") for each in shown
    )


def band(facts: TrialFacts, scale: svg.Scale, height: float) -> str:
    """The time from the injection to the heal, shaded; darker hatching until it was gone."""
    history = facts.trial.history
    inject, heal, healed = (history.step_ns(each) for each in ("inject", "heal", "healed"))
    if inject is None:
        return ""
    end = history.end_ns if heal is None else heal
    left, right = scale(inject / SECOND_NS), scale(end / SECOND_NS)
    force = svg.path([svg.box(left, 0, max(1.0, right - left), height)], "band")
    if heal is None:
        return force
    until = scale((history.end_ns if healed is None else healed) / SECOND_NS)
    return force + svg.path([svg.box(right, 0, max(0.0, until - right), height)], "band healing")


def clusters(places: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Which of these places, shares of the width in rising order, are too near to each other for a number each."""
    found: list[tuple[int, ...]] = []
    for index, place in enumerate(places):
        near = index > 0 and place - places[index - 1] < APART
        found = [*found[:-1], (*found[-1], index)] if near else [*found, (index,)]
    return tuple(found)


def numbered(happened: Sequence[Mark], scale: svg.Scale) -> str:
    """The numbers of those marks that the scale reaches, above the figure; a number is the same in every figure."""
    within = [(number, each) for number, each in enumerate(happened, 1) if scale.reaches(each.at_s)]
    if not within:
        return ""
    places = [scale.share(each.at_s) for _number, each in within]
    spans = []
    for cluster in clusters(places):
        first, last = cluster[0], cluster[-1]
        number = str(within[first][0]) if first == last else f"{within[first][0]}\u2013{within[last][0]}"
        spans.append(
            f'<span class="mark m-{within[first][1].kind}" style="left:'
            f'{svg.number((places[first] + places[last]) * 50)}%">{number}</span>'
        )
    return f'<div class="marks" aria-hidden="true">{"".join(spans)}</div>'


def listed(happened: Sequence[Mark], zero_s: float) -> str:
    """The marks in words, in the order of their numbers."""
    entries = "".join(
        f'<li><i class="mark m-{each.kind}">{number}</i><b>{each.at_s - zero_s:+.1f} s</b> '
        f"<span>{escape(each.text)}</span></li>"
        for number, each in enumerate(happened, 1)
    )
    return f'<ol class="listed">{entries}</ol>' if entries else ""
