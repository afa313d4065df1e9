"""From a history to one verdict, and the same bytes every time."""

from __future__ import annotations

import json

import pytest
from build_history import Trial, good

from stockade.drill.history import read
from stockade.drill.judge import judge, to_json
from stockade.drill.verdict import Verdict, merged
from stockade.errors import UsageError

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def control(**more: object) -> Trial:
    """The scenario that breaks the cloud."""
    return good(expect={"violates": "S1", **more})


def test_a_good_trial() -> None:
    found = judge(good().history())
    assert found.verdict is PASS
    assert (found.scenario, found.trial, found.seed) == ("test", 3, 7)
    assert found.digest == good().scenario.digest
    assert found.target == ("ctl1",)
    assert [each.stream for each in found.streams] == ["set-add", "token", "writer"]
    expected = {"inject": 20, "confirmed": 21, "heal": 65, "healed": 67, "redundant": 80, "end": 100}
    assert found.times_s == expected


def test_what_never_came_has_no_time() -> None:
    made = good().without("healed").without("health").without("confirmed")
    assert set(judge(made.history()).times_s) == {"inject", "heal", "end"}


@pytest.mark.parametrize(
    ("value", "target"), [({"hosts": ["b", "a"]}, ("b", "a")), (["a"], ("a",)), ("a", ("a",)), ({}, ()), (None, ())]
)
def test_the_hosts_that_were_hit(value: object, target: tuple[str, ...]) -> None:
    assert judge(good().without("target").see("target", value=value).history()).target == target


def test_the_worst_finding_is_the_verdict() -> None:
    assert judge(good().without("galera").history()).verdict is UNKNOWN
    lost = good().without("galera").record("lost", 30)
    assert judge(lost.history()).verdict is FAIL
    assert merged([]) is UNKNOWN


def test_a_scenario_that_is_not_the_one_of_its_digest_proves_nothing() -> None:
    made = good()
    made.header["scenario"]["expect"]["heals_within_s"] = 9999
    assert judge(made.history()).verdict is UNKNOWN


def test_a_history_without_a_scenario_is_refused() -> None:
    made = good()
    del made.header["scenario"]
    with pytest.raises(UsageError, match="the scenario in the history"):
        judge(made.history())


def test_a_control_passes_if_the_instrument_saw_it() -> None:
    assert judge(control().record("lost", 30).history()).verdict is PASS


def test_a_control_in_which_more_than_the_planted_fault_shows_fails() -> None:
    assert judge(control(error_window_s={"token": 0}, heals_within_s=0).record("lost", 30).history()).verdict is FAIL


def test_a_control_in_which_all_is_well_fails() -> None:
    assert judge(control().history()).verdict is FAIL


def test_a_control_that_could_not_see_is_unknown() -> None:
    assert judge(control().record("lost", 30).without("galera").history()).verdict is UNKNOWN
    unconfirmed = control().record("lost", 30).without("confirmed")
    assert judge(unconfirmed.history()).verdict is UNKNOWN


def test_the_same_history_gives_the_same_bytes() -> None:
    text = good().text()
    first, second = (to_json(judge(read(text.splitlines()))) for _time in range(2))
    assert first == second
    assert first.endswith("}\n")


def test_the_json_says_what_the_judgement_says() -> None:
    made = good(failing=((21, 24), (90, 200)))
    data = json.loads(to_json(judge(made.history())))
    assert data["verdict"] == "FAIL"
    token = next(each for each in data["streams"] if each["stream"] == "token")
    assert token["out"] == {
        "first_fail_ns": 21_500_000_000,
        "last_fail_ns": 23_500_000_000,
        "last_ok_before_ns": 20_500_000_000,
        "first_ok_after_ns": 24_500_000_000,
        "lower_s": 2.0,
        "upper_s": 4.0,
    }
    assert token["back"]["upper_s"] is None
    assert token["failed_ratio"] == 0.05
    assert list(data) == sorted(data)


def test_figures_are_rounded() -> None:
    made = good().op("token", 30.123456789, 0.0123456)
    numbers = json.loads(to_json(judge(made.history())), parse_float=str)
    assert all(len(each.partition(".")[2]) <= 3 for each in floats(numbers))


def floats(value: object) -> list[str]:
    if isinstance(value, dict):
        return [one for key, each in value.items() if key not in ("sentence", "evidence") for one in floats(each)]
    if isinstance(value, list):
        return [one for each in value for one in floats(each)]
    return [value] if isinstance(value, str) and value.replace(".", "").isdigit() else []
