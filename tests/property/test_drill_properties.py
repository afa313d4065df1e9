"""Judging, with histories made at random: what is missing never makes it better, and bounds are bounds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from build_history import CONTROLLERS, Trial, good, ns

from stockade.drill.checkers.case import case_of
from stockade.drill.checkers.table import check
from stockade.drill.history import Event, HistoryError, Kind, decode, encode, read
from stockade.drill.judge import judge, to_json
from stockade.drill.metrics import figures, percentile
from stockade.drill.statistics import clopper_pearson, kaplan_meier
from stockade.drill.verdict import Verdict

FAST = settings(max_examples=150, deadline=None, derandomize=True)
SLOW = settings(max_examples=25, deadline=None, derandomize=True)

TEXT = st.text(min_size=1, max_size=20)
MAYBE_TEXT = st.none() | TEXT
TIMES = st.integers(0, 10**13)
LEAVES = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.none() | st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXT, each, max_size=3), max_leaves=5
)
EVENTS = st.builds(
    Event, index=TIMES, time_ns=TIMES, kind=st.sampled_from(Kind), f=st.text(max_size=20), process=st.text(max_size=20),
    start_ns=st.none() | TIMES, lag_ns=st.none() | TIMES, key=MAYBE_TEXT, value=VALUES, node=MAYBE_TEXT,
    endpoint=MAYBE_TEXT, error=MAYBE_TEXT,
)  # fmt: skip
GOOD = good().text()
WHOLE = len(GOOD.rstrip("\n"))


def verdicts(made: Trial) -> dict[str, Verdict]:
    return {each.id: each.verdict for each in check(case_of(made.history(), made.scenario))}


@FAST
@given(EVENTS)
def test_an_event_is_one_line_and_reads_back(event: Event) -> None:
    line = encode(event)
    assert line.splitlines() == [line]
    assert decode(line, 1) == event


@SLOW
@given(st.integers(0, WHOLE - 1))
def test_a_history_cut_anywhere_never_passes(length: int) -> None:
    try:
        history = read(GOOD[:length].splitlines())
    except HistoryError:
        return
    assert not history.whole
    assert judge(history).verdict is Verdict.UNKNOWN, "nothing that it shows is wrong"


@SLOW
@given(st.data())
def test_whole_lines_that_are_missing_never_raise(data: st.DataObject) -> None:
    first, *rest = GOOD.splitlines()
    keep = data.draw(st.lists(st.booleans(), min_size=len(rest), max_size=len(rest)))
    judge(read([first, *(line for line, kept in zip(rest, keep, strict=True) if kept)]))


@SLOW
@given(st.sampled_from([*CONTROLLERS]), st.floats(1, 90), TEXT)
def test_an_acknowledged_record_that_is_missing_always_fails(missing: str, at_s: float, name: str) -> None:
    made = good().record(f"lost {name}", at_s, on=[node for node in CONTROLLERS if node != missing])
    assert verdicts(made)["S1"] is Verdict.FAIL
    assert judge(made.history()).verdict is Verdict.FAIL


@SLOW
@given(st.lists(st.tuples(st.floats(0, 95), st.sampled_from(["ok", "fail", "info"])), max_size=60))
def test_bounds_are_in_order(operations: list[tuple[float, str]]) -> None:
    made = Trial().fault()
    for at, kind in operations:
        made.op("token", at, kind=kind)
    for each in figures(made.history()):
        assert each.offered == each.ok + each.fail + each.info == len(operations)
        assert 0 <= (each.failed_ratio or 0) <= 1
        for window in (each.out, each.back):
            if window and window.upper_ns is not None:
                assert 0 <= window.lower_ns <= window.upper_ns


@FAST
@given(
    begin=st.floats(20, 40), length=st.floats(0, 24.9), rate=st.sampled_from([0.5, 1, 2, 5]), phase=st.floats(0, 0.999)
)
def test_the_truth_lies_within_two_periods_of_a_periodic_probe(
    begin: float, length: float, rate: float, phase: float
) -> None:
    """The positive control, in thought: everything that is sent in [begin, begin + length) fails."""
    made = Trial().fault().ops("udp", rate=rate, first=phase / rate, failing=[(begin, begin + length)])
    window = figures(made.history())[0].out
    period, truth, rounding = ns(1 / rate), ns(length), 4
    if window is None:
        assert truth <= period + rounding, "none was sent in it"
        return
    assert window.upper_ns is not None
    assert window.lower_ns - rounding <= truth <= window.upper_ns + rounding
    assert window.upper_ns - window.lower_ns <= 2 * period + rounding


@FAST
@given(st.lists(st.integers(0, 100), min_size=1), st.integers(1, 100))
def test_a_percentile_has_that_share_not_above_it(values: list[int], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(each <= found for each in values) >= percent * len(values)
    assert 100 * sum(each < found for each in values) < percent * len(values)


@FAST
@given(st.integers(1, 200), st.data())
def test_an_interval_holds_what_was_seen(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    lower, upper = clopper_pearson(successes, n)
    assert 0 <= lower <= successes / n <= upper <= 1
    mirrored = clopper_pearson(n - successes, n)
    assert abs(lower - (1 - mirrored[1])) < 1e-9


@FAST
@given(st.lists(st.tuples(st.floats(0.1, 1000), st.booleans()), max_size=30))
def test_the_share_not_healed_only_falls(times: list[tuple[float, bool]]) -> None:
    curve = kaplan_meier(times)
    assert curve[0] == (0, 1)
    assert list(curve) == sorted(curve, key=lambda step: (step[0], -step[1]))
    shares = [share for _time, share in curve]
    assert shares == sorted(shares, reverse=True)
    assert (shares[-1] > 0) or all(healed for time, healed in times if time == max(times)[0])


@SLOW
@given(st.lists(st.tuples(st.sampled_from(["token", "set-add"]), st.floats(0, 99), VALUES), max_size=8))
def test_odd_values_are_at_worst_unknown_to_a_checker(odd: list[tuple[str, float, Any]]) -> None:
    made = good()
    for stream, at, value in odd:
        made.op(stream, at, key=f"{at}", value=value).see("volume", at, value=value).see("health", at, value=value)
        made.see("galera", at, node="ctl1", value=value).see("vip-holders", at, key="internal", value=value)
    text = made.text()
    found = to_json(judge(read(text.splitlines())))
    assert found == to_json(judge(read(text.splitlines())))
