"""What every checker is given and gives back, and how it puts its evidence together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stockade.drill.history import SECOND_NS, Event, History
from stockade.drill.metrics import Operation, Span, figures, operations, promised, span
from stockade.drill.scenario import Scenario
from stockade.drill.verdict import StreamFigures, Verdict, merged

EVIDENCE_MAX = 20
"""Lines of evidence in a finding; the history has the rest."""


Row = tuple[Verdict, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One trial, with what several checkers need of it."""

    history: History
    scenario: Scenario
    operations: Mapping[str, tuple[Operation, ...]]
    promised: Mapping[str, float]
    figures: tuple[StreamFigures, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a checker says; `about` sets several of one checker apart."""

    verdict: Verdict
    sentence: str
    evidence: tuple[str, ...] = ()
    about: str = ""


Checker = Callable[[Case], Sequence[Outcome]]


def case_of(history: History, scenario: Scenario) -> Case:
    """What the checkers look at."""
    return Case(history, scenario, operations(history), promised(history), figures(history), span(history))


def combined(rows: Collection[Row], good: str, about: str = "") -> Outcome:
    """The worst of the rows; all of them are the evidence, worst first."""
    worst = merged(verdict for verdict, _line in rows)
    ranked = [line for verdict in reversed(Verdict) for each, line in rows if each is verdict]
    if worst is Verdict.PASS:
        return Outcome(worst, good, tuple(ranked), about)
    count = sum(verdict is worst for verdict, _line in rows)
    sentence = ranked[0] if ranked else "nothing was looked at"
    return Outcome(worst, sentence + (f" (and {count - 1} more)" if count > 1 else ""), tuple(ranked), about)


def seconds(ns: int) -> str:
    """Nanoseconds, as findings say them."""
    return f"{ns / SECOND_NS:.3f} s"


def by_node(events: Iterable[Event]) -> dict[str, Event]:
    """The last look at each host, by its name."""
    last = {each.node or "a host without a name": each for each in events}
    return dict(sorted(last.items()))


def unread_rows(looks: Mapping[str, Event]) -> list[Row]:
    """What could not be looked at: UNKNOWN, each."""
    return [
        (Verdict.UNKNOWN, f"{node} could not be read: {each.error or 'it gave nothing'}")
        for node, each in looks.items()
        if each.error or each.value is None
    ]


def never(case: Case, deadline_ns: int) -> Verdict:
    """The verdict on something that did not happen: none, if the history was cut off while there still was time."""
    return Verdict.FAIL if case.history.whole or case.span.end_ns >= deadline_ns else Verdict.UNKNOWN
