"""T: the scenario's own thresholds. Pure."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial

from stockade.drill.checkers.case import Case, Outcome, Row, combined, seconds
from stockade.drill.history import SECOND_NS
from stockade.drill.verdict import Verdict, Window


def thresholds(case: Case) -> list[Outcome]:
    """T: one for each threshold of the scenario. One that no stream fits is UNKNOWN."""
    expect = case.scenario.expect
    return [
        *(
            _threshold(case, name, name, partial(_at_most, case, limit))
            for name, limit in sorted(expect.error_window_s.items())
        ),
        *(
            _threshold(case, name, f"{name} failback", partial(_at_most, case, limit), back=True)
            for name, limit in sorted(expect.failback_window_s.items())
        ),
        *(
            _threshold(case, name, f"{name} truth", partial(_within, case, truth))
            for name, truth in sorted(expect.error_window_between_s.items())
        ),
    ]


def _threshold(
    case: Case, name: str, about: str, judged: Callable[[Window | None], Row], *, back: bool = False
) -> Outcome:
    phase = case.span.after_heal if back else case.span.hit
    rows: list[Row] = []
    for each in case.figures:
        if each.stream not in case.operations or not fnmatchcase(each.stream, name):
            continue
        if any(phase(one) for one in case.operations[each.stream]):
            verdict, line = judged(each.back if back else each.out)
            rows.append((verdict, f"{each.stream}: {line}"))
        else:
            rows.append((Verdict.UNKNOWN, f"{each.stream}: nothing was offered in that time"))
    rows = rows or [(Verdict.UNKNOWN, f"the history has no stream {name}")]
    return combined(rows, rows[0][1] if len(rows) == 1 else f"all {len(rows)} streams keep it", about)


def _at_most(case: Case, limit_s: float, window: Window | None) -> Row:
    limit, allowed = round(limit_s * SECOND_NS), f"{limit_s:g} s are allowed"
    if window is None:
        return Verdict.PASS, f"nothing failed, {allowed}"
    if window.upper_ns is None:
        # Cut off before its end a history shows no more than the lower bound.
        certain = case.history.whole or window.lower_ns > limit
        line = f"failed for {seconds(window.lower_ns)} at least and had not ended when the trial did, {allowed}"
        return (Verdict.FAIL if certain else Verdict.UNKNOWN), line
    line = f"failed for {seconds(window.lower_ns)} at least, {seconds(window.upper_ns)} at most, {allowed}"
    if window.upper_ns > limit:
        return Verdict.FAIL, line
    if window.last_ok_before_ns is None:
        return Verdict.UNKNOWN, f"{line}; there was no success before it, so nobody knows when it began"
    return Verdict.PASS, line


def _within(case: Case, truth_s: tuple[float, float], window: Window | None) -> Row:
    low_s, high_s = truth_s
    wanted = f"both must lie between {low_s:g} s and {high_s:g} s"
    if window is None:
        return Verdict.FAIL, f"nothing failed, and {wanted}"
    if window.upper_ns is None:
        verdict = Verdict.FAIL if case.history.whole else Verdict.UNKNOWN
        return verdict, f"had not ended when the trial did, and {wanted}"
    line = f"measured {seconds(window.lower_ns)} at least, {seconds(window.upper_ns)} at most, and {wanted}"
    fits = window.lower_ns >= round(low_s * SECOND_NS) and window.upper_ns <= round(high_s * SECOND_NS)
    return (Verdict.PASS if fits else Verdict.FAIL), line
