"""L1, L2: does everything come back, and in time? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stockade.drill.checkers.case import Case, Outcome, Row, combined, never, seconds
from stockade.drill.checkers.validity import _rare
from stockade.drill.history import SECOND_NS, History
from stockade.drill.verdict import StreamFigures, Verdict, Window


def succeeds_again(case: Case) -> list[Outcome]:
    """L1: after its failures each stream succeeds in time.

    The first success after the last failure before the heal must have been meant to start within `heals_within_s` of
    the injection and, if the scenario says so, before the heal. After failures from the heal on there must be any.
    """
    if case.span.inject_ns is None:
        return [Outcome(Verdict.UNKNOWN, "no fault was injected")]
    rows = [row for figure in case.figures for row in _stream_rows(case, figure, case.span.inject_ns)]
    return [combined(rows, "every stream succeeded again in time")]


def _stream_rows(case: Case, figure: StreamFigures, inject_ns: int) -> Iterator[Row]:
    name, within = figure.stream, case.scenario.expect.heals_within_s
    deadline = inject_ns + round(within * SECOND_NS)
    after = [each for each in case.operations.get(name, ()) if case.span.since_fault(each)]
    if not any(each.ok for each in after):
        if after:
            yield never(case, deadline), f"{name} never succeeded after the injection"
        elif not _rare(case, name, fault=True):
            yield Verdict.UNKNOWN, f"{name} was not asked for anything after the injection"
        return
    good = True
    for row in (*_out_rows(case, name, figure.out, inject_ns, deadline), *_back_rows(case, name, figure.back)):
        good = False
        yield row
    if good:
        yield Verdict.PASS, f"{name} " + ("succeeded again in time" if figure.out or figure.back else "never failed")


def _out_rows(case: Case, name: str, out: Window | None, inject_ns: int, deadline_ns: int) -> Iterator[Row]:
    if out is None:
        return
    again, heal = out.first_ok_after_ns, case.span.heal_ns
    within = f"{seconds(deadline_ns - inject_ns)} after the injection"
    if again is None:
        yield never(case, deadline_ns), f"{name} had not succeeded again when the trial ended"
    elif again > deadline_ns:
        yield Verdict.FAIL, f"{name} succeeded again {seconds(again - inject_ns)}, not {within}"
    elif case.scenario.expect.heals_before_the_heal and heal is not None and again >= heal:
        yield Verdict.FAIL, f"{name} succeeded again only {seconds(again - heal)} after the heal"


def _back_rows(case: Case, name: str, back: Window | None) -> Iterator[Row]:
    if back is not None and back.first_ok_after_ns is None:
        verdict = Verdict.FAIL if case.history.whole else Verdict.UNKNOWN
        yield verdict, f"{name} failed after the heal and had not succeeded again when the trial ended"


def complete_again(case: Case) -> list[Outcome]:
    """L2: `status` says that the cloud is complete within `redundant_within_s` of the heal."""
    heal, within = case.span.heal_ns, case.scenario.expect.redundant_within_s
    if heal is None:
        return [Outcome(Verdict.UNKNOWN, "the fault was never healed")]
    looks = [each for each in case.history.observed("health") if each.time_ns >= heal]
    deadline = heal + round(within * SECOND_NS)
    healthy = first_healthy_ns(case.history)
    if healthy is not None and healthy <= deadline:
        return [Outcome(Verdict.PASS, f"complete {seconds(healthy - heal)} after the heal")]
    if healthy is not None:
        sentence = f"complete only {seconds(healthy - heal)} after the heal, {seconds(deadline - heal)} are allowed"
        return [Outcome(Verdict.FAIL, sentence)]
    told = [each.value for each in looks if each.value is not None]
    if not told:
        return [Outcome(Verdict.UNKNOWN, "nobody looked at the cloud's health after the heal")]
    wrong = tuple(str(each) for each in told[-1]["wrong"])
    sentence = f"not complete when the trial ended: {'; '.join(wrong) or 'no reason given'}"
    return [Outcome(never(case, deadline), sentence, wrong)]


def first_healthy_ns(history: History) -> int | None:
    """When the cloud was first seen complete after the heal; None if it never was."""
    heal = history.step_ns("heal")
    looks = () if heal is None else [each for each in history.observed("health") if each.time_ns >= heal]
    healthy = (each for each in looks if isinstance(each.value, Mapping) and each.value.get("healthy") is True)
    return next((each.time_ns for each in healthy), None)
