"""Figures of a stream, on histories small enough to count by hand."""

from __future__ import annotations

import pytest
from build_history import END, HEAL, INJECT, Trial, ns

from stockade.drill.history import Kind
from stockade.drill.metrics import BASELINE_MIN, figures, operations, percentile, promised
from stockade.drill.verdict import StreamFigures, Window


def of(made: Trial, stream: str = "token") -> StreamFigures:
    return next(each for each in figures(made.history()) if each.stream == stream)


def window(*seconds: float | None) -> Window:
    first, last, before, after = (None if each is None else ns(each) for each in seconds)
    assert first is not None
    assert last is not None
    return Window(first, last, before, after)


def test_no_failure_is_no_window_and_not_one_of_length_zero() -> None:
    found = of(Trial().fault().ops("token"))
    assert (found.out, found.back) == (None, None)
    assert found.unavailable_s == 0
    assert found.failed_ratio == 0


def test_an_outage_lies_between_its_bounds() -> None:
    found = of(Trial().fault().ops("token", failing=[(22, 27)]))
    assert found.out == window(22.5, 26.5, 21.5, 27.5)
    assert found.out.lower_ns == ns(4)
    assert found.out.upper_ns == ns(6)
    assert found.back is None
    assert found.unavailable_s == 5
    assert (found.offered, found.ok, found.fail, found.info) == (98, 93, 5, 0)
    assert found.failed_ratio == pytest.approx(5 / 60)


def test_a_success_among_failures_ends_nothing() -> None:
    found = of(Trial().fault().ops("token", failing=[(22, 24), (30, 33)]))
    assert found.out == window(22.5, 32.5, 21.5, 33.5)
    assert found.unavailable_s == 5, "which is why both are told"


def test_failover_and_failback_are_two_windows() -> None:
    found = of(Trial().fault().ops("token", failing=[(22, 24), (70, 73)]))
    assert found.out == window(22.5, 23.5, 21.5, 24.5)
    assert found.back == window(70.5, 72.5, 69.5, 73.5)


def test_trap_observation_ends_at_failover() -> None:
    """Most tools: failback is never timed."""
    assert of(Trial().fault().ops("token", failing=[(80, 84)])).back == window(80.5, 83.5, 79.5, 84.5)


def test_the_success_after_a_window_is_looked_for_beyond_its_phase() -> None:
    found = of(Trial().fault().ops("token", failing=[(60, 70)]))
    assert found.out == window(60.5, 64.5, 59.5, 70.5)
    assert found.back == window(65.5, 69.5, 59.5, 70.5)


def test_trap_an_outage_that_begins_with_the_very_first_operation() -> None:
    """rally-runners: `if not start: start = i` takes index 0 for none."""
    found = of(Trial().fault(inject=0, heal=50).ops("token", failing=[(0, 3)]))
    assert found.out == window(0.5, 2.5, None, 3.5)
    assert found.out.upper_ns == ns(3)


def test_trap_an_outage_that_lasts_to_the_end_is_not_truncated() -> None:
    """Yardstick: what still fails when the observation ends counts as over."""
    found = of(Trial().fault().ops("token", failing=[(40, 200)]))
    assert found.out == window(40.5, 64.5, 39.5, None)
    assert found.out.upper_ns is None
    assert found.back is not None
    assert found.back.upper_ns is None
    assert found.degraded_s is None


def test_trap_a_probe_that_hangs_and_then_succeeds_is_not_without_outage() -> None:
    """Yardstick, Tobiko: no timeout on the probe. Here patience makes it a failure, and latency is from the start."""
    hung = of(Trial().fault().ops("token", end=30).op("token", 30.2, 60, "ok").ops("token", first=31.5))
    assert hung.fault_p95_ms == 50
    assert hung.degraded_s == 20, "the 10 s window in which the hung one was meant to start is degraded"
    given_up = of(Trial().fault().ops("token").op("token", 30.2, 10, "fail"))
    assert given_up.out == window(30.2, 30.2, 29.5, 30.5)


def test_trap_a_closed_loop_stops_sampling_when_the_system_is_ill() -> None:
    """Operations count when they were meant to start, however late the probe was."""
    late = Trial().fault().ops("token", end=30)
    for number in range(5):
        late.op("token", 30.5 + number, 6 - number, "ok", lag_s=5 - number)
    found = of(late.ops("token", first=36.5))
    assert found.lag_p99_ms == 5000
    assert found.fault_p95_ms == 4000, "of 44 the third longest"


def test_one_that_was_under_way_at_the_injection_and_failed_counts() -> None:
    made = Trial().fault().ops("token").op("token", 18.1, 5, "fail").op("token", 18.2, 1, "fail")
    assert of(made).out == window(18.1, 18.1, 17.5, 18.5)
    assert of(made).failed_ratio == 0, "it was not offered after the injection"


def test_one_that_ended_well_after_the_injection_belongs_to_the_baseline() -> None:
    assert of(Trial().fault().ops("token", end=20).op("token", 19.9, 5)).baseline_p95_ms == 50
    assert of(Trial().fault().op("token", 19.9, 5)).baseline_p95_ms == 5000


def test_a_write_without_an_end_is_offered_and_unknown() -> None:
    made = Trial().fault().op("set-add", 1, key="a").op("set-add", 30, key="b", ends=False).op("set-add", 40, key="c")
    found = of(made, "set-add")
    assert (found.offered, found.ok, found.info) == (3, 2, 1)
    assert found.out == window(30, 30, 1, 40)
    assert [each.kind for each in operations(made.history())["set-add"]] == [Kind.OK, Kind.INFO, Kind.OK]


def test_a_hang_that_ends_well_is_an_outage() -> None:
    """prove.md's trap: a request that hangs and at last succeeds counts as nothing."""
    made = Trial().fault()
    made.see("load", 0.1, key="begin", value={"streams": {"read": {"rate": 1, "timeout_s": 10, "deadline_s": 3}}})
    for second in range(1, 95):
        made.op("read", second, 9.9 if 21 <= second < 31 else 0.1)
    found = of(made, "read")
    assert (found.offered, found.ok, found.fail) == (94, 94, 0)
    assert found.out == window(21, 30, 20, 31)
    assert found.unavailable_s == 10


def test_what_was_under_way_at_the_heal_belongs_to_the_fault_unless_the_stream_had_recovered() -> None:
    recovered = Trial().fault().ops("read", failing=((21, 23),)).op("read", 64.9, 3, "fail")
    assert (of(recovered, "read").out, of(recovered, "read").back) == (
        window(21.5, 22.5, 20.5, 23.5),
        window(64.9, 64.9, 64.5, 65.5),
    )
    still_out = Trial().fault().ops("read", failing=((21, 65),)).op("read", 64.9, 3, "fail")
    assert (of(still_out, "read").out, of(still_out, "read").back) == (window(21.5, 64.9, 20.5, 65.5), None)


def test_what_the_cloud_names_itself_is_one_operation() -> None:
    """A VM has an id only once it is accepted."""
    made = Trial().fault().add(Kind.INVOKE, 30, "server-accept")
    made.add(Kind.OK, 31, "server-accept", start_ns=ns(30), key="an-id")
    assert (of(made, "server-accept").offered, of(made, "server-accept").ok) == (1, 1)


def test_unknown_outcomes_are_failures_to_a_user() -> None:
    found = of(Trial().fault().ops("token", failing=[(22, 24)], kind="info"))
    assert found.info == 2
    assert found.out == window(22.5, 23.5, 21.5, 24.5)


def test_without_a_heal_everything_after_the_injection_is_one_window() -> None:
    found = of(Trial().fault(heal=None).ops("token", failing=[(70, 72)]))
    assert found.out == window(70.5, 71.5, 69.5, 72.5)
    assert found.back is None


def test_without_an_injection_there_are_no_windows() -> None:
    found = of(Trial().fault(inject=None, heal=None).ops("token", failing=[(70, 72)]))
    assert (found.out, found.back, found.failed_ratio, found.degraded_s) == (None, None, None, None)
    assert found.unavailable_s == 0


def test_unavailable_time_counts_bins_with_less_than_half() -> None:
    made = Trial().fault().op("token", 1)
    for at, kind in ((20.1, "ok"), (20.9, "fail"), (21.1, "ok"), (21.2, "fail"), (21.3, "info"), (25.0, "fail")):
        made.op("token", at, kind=kind)
    assert of(made).unavailable_s == 2, "half is available, and bins without operations say nothing"


def test_the_data_path_has_bins_of_a_tenth() -> None:
    found = of(Trial().fault().ops("udp", rate=20, first=0.025, failing=[(30, 30.35)]), "udp")
    assert found.unavailable_s == pytest.approx(0.3), "the last 50 ms are half of a bin"


def test_failed_ratio_is_of_one_minute() -> None:
    assert of(Trial().fault().ops("token", failing=[(INJECT + 60, END)])).failed_ratio == 0


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 2), (75, 3), (76, 4), (95, 4), (100, 4)])
def test_percentiles_are_values_that_occurred(percent: int, expected: int) -> None:
    assert percentile([3, 1, 4, 2], percent) == expected


def test_no_percentile_of_nothing() -> None:
    assert percentile([], 50) is None


def test_latencies_are_of_what_succeeded() -> None:
    made = Trial().fault().ops("token", failing=[(30, 40)], took_s=0.05).op("token", 50.1, 0.4)
    found = of(made)
    assert (found.baseline_p50_ms, found.baseline_p95_ms) == (50, 50)
    assert (found.fault_p50_ms, found.fault_p95_ms) == (50, 50)


def slow(start: float, stop: float, took_s: float) -> Trial:
    made = Trial().fault().ops("token", end=start).ops("token", first=start + 0.5, end=stop, took_s=took_s)
    return made.ops("token", first=stop + 0.5)


def test_degraded_until_all_windows_are_as_before() -> None:
    assert of(Trial().fault().ops("token")).degraded_s == 0
    assert of(Trial().fault().ops("token", failing=[(22, 23)])).degraded_s == 10
    assert of(Trial().fault().ops("token", failing=[(22, 23), (47, 48)])).degraded_s == 30
    assert of(slow(42, 60, took_s=0.08)).degraded_s == 40
    assert of(slow(42, 60, took_s=0.07)).degraded_s == 0, "1.5 times the baseline is allowed"


def test_degraded_to_the_end_is_never_recovered() -> None:
    assert of(Trial().fault().ops("token", failing=[(97, 98)])).degraded_s is None


def test_a_few_operations_are_no_baseline() -> None:
    few = Trial().fault().ops("token", first=20 - BASELINE_MIN + 1.5)
    assert of(few).degraded_s is None
    enough = Trial().fault().ops("token", first=20 - BASELINE_MIN + 0.5)
    assert of(enough).degraded_s == 0


def test_a_baseline_with_failures_allows_as_many_later() -> None:
    made = Trial().fault().ops("token", rate=5, failing=[(5, 5.1), (41, 41.1)], first=0)
    assert of(made).degraded_s == 30, "1 of 50 in a window is more than 1 of 100 before"
    worse = Trial().fault().ops("token", rate=5, failing=[(5, 6), (41, 41.1)], first=0)
    assert of(worse).degraded_s == 0


def test_lag_is_of_all_that_were_sent() -> None:
    made = Trial().fault().ops("token").op("token", 30.1, 1, "fail", lag_s=0.2).op("token", 30.2, lag_s=0.3)
    assert of(made).lag_p99_ms == 200
    assert of(Trial().fault().add(Kind.OK, 3, "token")).lag_p99_ms is None


def test_a_promised_stream_that_offered_nothing_has_figures() -> None:
    made = Trial().fault(heal=HEAL).load({"token": 1, "udp": 20}).ops("token")
    assert promised(made.history()) == {"token": 1, "udp": 20}
    assert of(made, "udp").offered == 0
    assert of(made, "udp").failed_ratio is None
