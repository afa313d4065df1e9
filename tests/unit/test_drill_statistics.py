"""What may be said of a number of trials, against values that are published."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from build_history import good

from stockade.drill.judge import judge
from stockade.drill.statistics import (
    Spread,
    clopper_pearson,
    kaplan_meier,
    median,
    median_interval,
    spread,
    success_run_bound,
    summarize,
)
from stockade.drill.verdict import Verdict, Window


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [
        (5, 5, 0.4782, 1.0),
        (0, 5, 0.0, 0.5218),
        (4, 5, 0.2836, 0.9949),
        (10, 20, 0.2720, 0.7280),
        (1, 10, 0.0025, 0.4450),
        (0, 20, 0.0, 0.1684),
    ],
)
def test_clopper_pearson_as_published(successes: int, n: int, lower: float, upper: float) -> None:
    assert clopper_pearson(successes, n) == pytest.approx((lower, upper), abs=6e-5)


@pytest.mark.parametrize("n", [1, 5, 20, 59, 299, 5000])
def test_without_failures_the_interval_has_a_closed_form(n: int) -> None:
    assert clopper_pearson(0, n)[1] == pytest.approx(1 - 0.025 ** (1 / n), abs=1e-9)
    assert clopper_pearson(n, n)[0] == pytest.approx(0.025 ** (1 / n), abs=1e-9)
    assert clopper_pearson(0, n, 0.9)[1] == pytest.approx(success_run_bound(n), abs=1e-9)


def test_its_bounds_are_where_the_tails_are_small() -> None:
    lower, upper = clopper_pearson(1000, 2500)
    assert 0.38 < lower < 0.4 < upper < 0.42
    exact = clopper_pearson(2, 3)
    tail = sum(math.comb(3, i) * exact[0] ** i * (1 - exact[0]) ** (3 - i) for i in (2, 3))
    assert tail == pytest.approx(0.025, abs=1e-9)
    tail = sum(math.comb(3, i) * exact[1] ** i * (1 - exact[1]) ** (3 - i) for i in (0, 1, 2))
    assert tail == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_no_proportion_no_interval(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        clopper_pearson(successes, n)


@pytest.mark.parametrize(("n", "bound"), [(5, 0.451), (20, 0.139), (30, 0.095), (59, 0.0495), (299, 0.00997)])
def test_success_runs_as_published(n: int, bound: float) -> None:
    assert success_run_bound(n) == pytest.approx(bound, abs=5e-4)


def test_median() -> None:
    assert median([]) is None
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


@pytest.mark.parametrize(("n", "ranks"), [(5, None), (6, (1, 6)), (9, (2, 8)), (20, (6, 15)), (59, (22, 38))])
def test_median_interval_by_ranks_as_published(n: int, ranks: tuple[int, int] | None) -> None:
    assert median_interval(range(1, n + 1)) == ranks


def test_kaplan_meier_without_censoring_is_the_share_that_is_left() -> None:
    assert kaplan_meier([(3, True), (1, True), (3, True), (9, True)]) == ((0, 1), (1, 0.75), (3, 0.25), (9, 0))


def test_trap_what_did_not_heal_is_neither_dropped_nor_averaged() -> None:
    """performance-docs: 4.3, 19.9, 7.3, 95.1 seconds, and "Inf."."""
    curve = kaplan_meier([(4.3, True), (19.9, True), (7.3, True), (95.1, True), (600, False)])
    assert curve[-1] == (95.1, pytest.approx(0.2))
    assert kaplan_meier([(600, False)]) == ((0, 1),)


def test_kaplan_meier_what_was_watched_only_for_a_while_counts_until_then() -> None:
    curve = kaplan_meier([(1, True), (2, False), (3, True), (3, False)])
    assert curve == ((0, 1), (1, 0.75), (3, 0.375))


def window(length_s: int | None) -> Window:
    return Window(10**9, 2 * 10**9, 0, None if length_s is None else length_s * 10**9)


def test_a_spread_has_every_point() -> None:
    assert spread([window(5), None, window(3)]) == Spread((5, 0, 3), 0, 3, 5)
    assert spread([]) == Spread((), 0, None, None)


def test_trap_runs_without_errors_are_left_out_of_the_mean() -> None:
    """rally-runners: `if run_result.error_area`."""
    assert spread([None, None, window(9)]).median_s == 0


def test_what_did_not_end_is_longer_than_any_other() -> None:
    assert spread([window(5), None, window(None)]) == Spread((5, 0), 1, 5, None)
    assert spread([window(5), window(None), window(None)]).median_s is None


def test_trap_one_iteration_is_reported_as_pass_or_fail() -> None:
    """Yardstick: n = 1. A summary has n, and one success bounds nearly nothing."""
    assert summarize([judge(good().history())]).trials == 1
    assert clopper_pearson(1, 1)[0] == pytest.approx(0.025)


def test_a_summary_counts_trials() -> None:
    passing = judge(good().history())
    failing = judge(good(failing=[(21, 200)]).history())
    null = judge(good(failing=()).history())
    unknown = judge(good(failing=()).without("confirmed").history())
    found = summarize([passing, failing, null, unknown])
    assert (found.scenario, found.digest) == ("test", passing.digest)
    assert (found.trials, found.passed, found.failed, found.unknown, found.healed) == (4, 2, 1, 1, 3)
    assert found.streams["token"].out == Spread((4, 0), 1, 4, None)
    assert found.streams["token"].back == Spread((0, 0), 1, 0, None)
    assert found.streams["writer"].out == Spread((0, 0, 0), 0, 0, 0)


def test_a_trial_that_proved_nothing_gives_no_zeros() -> None:
    unknown = judge(good(failing=()).without("confirmed").history())
    assert unknown.verdict is Verdict.UNKNOWN
    assert summarize([unknown]).streams == {}


def test_a_trial_that_failed_counts_though_the_run_was_not_as_it_should_be() -> None:
    failed = judge(good(failing=[(21, 200)]).step("gave-up", 90).history())
    assert failed.verdict is Verdict.FAIL
    assert summarize([failed]).streams["token"].out.unhealed == 1


def test_thresholds_that_were_moved_are_another_campaign() -> None:
    one = judge(good().history())
    with pytest.raises(ValueError, match="2 scenarios"):
        summarize([one, replace(one, digest="0" * 16)])
    with pytest.raises(ValueError, match="0 scenarios"):
        summarize([])
