"""Each checker sees what it is for, and says so when it cannot see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from build_history import CONTROLLERS, END, HEAL, Trial, good

from stockade.drill.checkers import table
from stockade.drill.checkers.case import EVIDENCE_MAX, Outcome, case_of
from stockade.drill.checkers.table import CHECKERS, check
from stockade.drill.history import read
from stockade.drill.verdict import Finding, Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def findings(made: Trial) -> dict[str, Finding]:
    found = check(case_of(made.history(), made.scenario))
    assert len({each.id for each in found}) == len(found), "ids are unique"
    return {each.id: each for each in found}


def verdict(made: Trial, id_: str) -> Verdict:
    return findings(made)[id_].verdict


def expecting(**expect: object) -> Trial:
    return good(expect=expect)


def test_a_good_trial_passes_everything() -> None:
    found = findings(good())
    assert set(found) == {"V1", "S1", "S2", "S3", "S5", "S6", "S8", "L1", "L2"}
    assert {each.verdict for each in found.values()} == {PASS}, found


def test_a_null_drill_passes_everything() -> None:
    assert {each.verdict for each in findings(good(failing=())).values()} == {PASS}


def test_a_checker_that_raises_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_case: object) -> list[Outcome]:
        raise KeyError("seqno")

    monkeypatch.setattr(table, "CHECKERS", (("S6", "members agree", broken), *CHECKERS[:1]))
    found = findings(good())
    assert found["S6"].verdict is UNKNOWN
    assert "seqno" in found["S6"].sentence
    assert found["V1"].verdict is PASS


def test_evidence_is_bounded() -> None:
    made = good().set_reads(["ctl4"])
    for number in range(100):
        made.record(f"lost{number:03}", 30, on=["ctl1"])
    evidence = findings(made)["S1"].evidence
    assert len(evidence) == EVIDENCE_MAX
    assert evidence[-1] == "and 91 more"


# V1


def cut(made: Trial) -> Trial:
    made.ends_at = None
    return made


def other_digest(made: Trial) -> Trial:
    made.header["digest"] = "0" * 16
    return made


def late(made: Trial) -> Trial:
    for number in range(10):
        made.op("token", 30 + number, lag_s=0.501)
    return made


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (cut, "has no end"),
        (other_digest, "digest"),
        (late, "501 ms late"),
        (lambda made: made.without("load"), "never began"),
        (lambda made: made.without("load").load({"token": 1}, end=None), "did not end by itself"),
        (lambda made: made.without("load").load({}), "promised no stream"),
        (lambda made: made.without("load").load({"token": 1, "udp": 20}), "udp had no success before"),
        (lambda made: made.without("token").ops("token", failing=[(0, 20)]), "token had no success before"),
        (lambda made: made.without("inject"), "no fault was injected"),
        (lambda made: made.without("confirmed"), "nobody saw"),
        (lambda made: made.step("gave-up", 30), "gave up"),
    ],
)
def test_v1_a_run_that_means_nothing_is_unknown_and_never_fails(spoil: Callable[[Trial], Trial], why: str) -> None:
    found = findings(spoil(good()))["V1"]
    assert found.verdict is UNKNOWN
    assert why in "\n".join(found.evidence)


def test_trap_a_fault_is_taken_for_effective_because_the_command_succeeded() -> None:
    """Cloud99, krkn, os-faults."""
    assert verdict(good().without("fault").without("confirmed"), "V1") is UNKNOWN


def test_trap_a_probe_that_stopped_asking_saw_no_failures() -> None:
    made = good(failing=()).without("token").ops("token", end=40)
    found = findings(made)["V1"]
    assert found.verdict is UNKNOWN
    assert "token was offered 20 times since the injection" in found.sentence


def test_v1_a_little_late_is_allowed() -> None:
    assert verdict(good().op("token", 30.1, lag_s=0.25), "V1") is PASS


def test_v1_a_vms_life_need_not_be_in_the_baseline() -> None:
    rates = {"token": 1, "set-add": 0.1, "writer": 1}
    rare = good().without("load").load({**rates, "server-accept": 0.05}).op("server-accept", 50)
    assert verdict(rare, "V1") is PASS
    often = good().without("load").load({**rates, "server-accept": 0.2}).op("server-accept", 50)
    assert verdict(often, "V1") is UNKNOWN


# S1, S2, S5


def unreadable(made: Trial) -> Trial:
    return made.see("set-read", node="ctl2", error="HTTP 503")


def test_s1_an_acknowledged_record_that_is_missing_anywhere_fails() -> None:
    found = findings(good().record("lost", 30, on=["ctl1", "ctl3"]))["S1"]
    assert found.verdict is FAIL
    assert found.sentence == "lost was acknowledged and is missing through ctl2"


def test_s1_what_cannot_be_read_is_unknown() -> None:
    assert verdict(unreadable(good()), "S1") is UNKNOWN
    assert verdict(good().without("set-read"), "S1") is UNKNOWN
    assert verdict(good().without("set-add"), "S1") is UNKNOWN, "nothing was acknowledged"


def test_s1_a_loss_that_is_seen_fails_though_another_controller_cannot_be_read() -> None:
    assert verdict(unreadable(good().record("lost", 30, on=["ctl2", "ctl3"])), "S1") is FAIL


def test_the_set_is_left_out_if_the_scenario_has_none() -> None:
    made = good(load={"acknowledged": 0}).without("set-add").without("set-read")
    assert not {"S1", "S2", "S5"} & set(findings(made))


def test_s2_a_record_nobody_asked_for_fails() -> None:
    made = good()
    made.present("ghost", ["ctl3"])
    assert "ghost was never asked for and is there through ctl3" in findings(made)["S2"].sentence
    assert verdict(made, "S2") is FAIL


def test_s2_a_record_that_was_refused_fails() -> None:
    assert verdict(good().record("no", 30, "fail", on=CONTROLLERS), "S2") is FAIL
    assert verdict(good().record("no", 30, "fail"), "S2") is PASS


def test_s2_a_record_that_was_asked_for_without_an_answer_may_be_there() -> None:
    assert verdict(good().record("sent", 30, on=CONTROLLERS, ends=False), "S2") is PASS


def test_s2_what_cannot_be_read_is_unknown() -> None:
    assert verdict(unreadable(good()), "S2") is UNKNOWN


@pytest.mark.parametrize("ends", [True, False])
def test_s5_unknown_outcomes_are_everywhere_or_nowhere(ends: bool) -> None:  # noqa: FBT001
    def having(*on: str) -> Trial:
        return good().record("maybe", 30, "info", on=on, ends=ends)

    assert verdict(having(), "S5") is PASS
    assert verdict(having(*CONTROLLERS), "S5") is PASS
    assert verdict(having("ctl1"), "S5") is FAIL
    assert verdict(unreadable(having(*CONTROLLERS)), "S5") is UNKNOWN


# S3


def writing(*, volume: int | None = 1000) -> Trial:
    made = good().without("writer").without("volume")
    return made if volume is None else made.volume(volume)


def test_s3_one_boot_after_another() -> None:
    made = writing().writer(10, 20).writer(11, 22).writer(30, 40, boot="b", first=25).writer(31, 42, boot="b", first=25)
    assert verdict(made, "S3") is PASS


def test_s3_numbers_that_go_back_fail() -> None:
    assert "boot a was at 21" in findings(writing().writer(10, 22).writer(11, 21))["S3"].sentence
    assert verdict(writing().writer(10, 22).writer(11, 21), "S3") is FAIL


def test_s3_a_boot_that_writes_again_after_another_fails() -> None:
    """Two machines run the same VM: the one that was believed dead was not."""
    made = writing().writer(10, 20).writer(30, 30, boot="b", first=25).writer(31, 31)
    assert "boot a answered again at 31.050 s" in "\n".join(findings(made)["S3"].evidence)
    assert verdict(made, "S3") is FAIL


def test_s3_a_boot_that_begins_before_what_was_acknowledged_fails() -> None:
    made = writing().writer(10, 24).writer(30, 30, boot="b", first=24)
    assert findings(made)["S3"].sentence == "boot b began with 24, and 24 was acknowledged before by another"


def test_s3_an_answer_kept_back_by_the_network_is_no_number_going_back() -> None:
    """In order of completion alone, an answer whose packet was sent again would look like two writers."""
    made = writing().writer(10, 20, took_s=2.5).writer(11, 22)
    assert verdict(made, "S3") is PASS
    boots = writing().writer(9, 18).writer(10, 20, took_s=2.5).writer(11, 22, boot="b", first=21)
    assert verdict(boots, "S3") is PASS


def test_s3_a_writer_that_still_looks_for_its_disk_has_no_numbers() -> None:
    made = writing().writer(10, 20).writer(30, 0, boot="b", first=0, state="searching")
    made.writer(31, 24, boot="b", first=0).writer(32, 25, boot="b", first=25)
    assert verdict(made, "S3") is PASS
    assert verdict(made.writer(33, 0, boot="b", first=0), "S3") is FAIL, "it writes, and to an empty disk"


def test_s3_what_the_volume_says() -> None:
    assert verdict(writing(volume=20).writer(10, 20), "S3") is PASS
    lost = findings(writing(volume=17).writer(10, 20))["S3"]
    assert lost.verdict is FAIL
    assert lost.sentence == "3 acknowledged records are lost: the volume ends at 17"
    spoilt = writing(volume=None).volume(30, ["two boots wrote by turns"]).writer(10, 20)
    assert findings(spoilt)["S3"].sentence == "on the volume: two boots wrote by turns"


def test_s3_missing_evidence_is_unknown() -> None:
    assert verdict(writing(), "S3") is UNKNOWN
    assert verdict(writing().op("writer", 10, kind="fail"), "S3") is UNKNOWN
    assert verdict(writing(volume=None).writer(10, 20), "S3") is UNKNOWN
    assert verdict(writing(volume=None).writer(10, 20).see("volume", error="no such volume"), "S3") is UNKNOWN


def test_s3_is_left_out_if_the_scenario_has_no_writer() -> None:
    assert "S3" not in findings(good(load={"writer": 0}).without("writer").without("volume"))


# S6, S8


def members(**last: object) -> Trial:
    made = good().without("galera").galera("ctl1").galera("ctl2", seqno=950)
    return made.galera("ctl3", **last)  # type: ignore[arg-type]


def test_s6_members_read_one_after_another_may_differ_a_little() -> None:
    assert verdict(members(), "S6") is PASS


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"cluster": "other"}, "there are 2 clusters"),
        ({"state": "Donor"}, "ctl3 is Donor"),
        ({"size": 2}, "ctl3 sees 2 members of 3"),
        ({"seqno": 899}, "positions differ by 51"),
    ],
)
def test_s6_members_that_differ_fail(last: dict[str, object], why: str) -> None:
    found = findings(members(**last))["S6"]
    assert found.verdict is FAIL
    assert why in found.sentence


def test_s6_a_member_that_does_not_answer_is_unknown() -> None:
    assert verdict(good().see("galera", node="ctl2", error="no answer"), "S6") is UNKNOWN
    assert verdict(good().without("galera"), "S6") is UNKNOWN


def test_s8_failback_counts_too() -> None:
    assert verdict(good().owner("internal", 70, "02:01"), "S8") is PASS
    found = findings(good().owner("internal", 70, "02:01").owner("internal", 71, "02:02"))["S8"]
    assert found.verdict is FAIL
    assert found.sentence == "internal changed hands 3 times, at most 2 are allowed"


def test_s8_before_the_injection_nothing_counts() -> None:
    made = good()
    for number in range(6):
        made.owner("internal", 10 + number, f"02:0{number % 2 + 1}")
    assert verdict(made, "S8") is PASS


def test_s8_seen_twice_or_not_at_all_for_a_moment_is_no_change() -> None:
    made = good()
    for number in range(6):
        made.owner("internal", 30 + number, "02:02").see("vip-owner", 30.5 + number, key="internal")
    assert verdict(made, "S8") is PASS


def test_s8_two_holders_or_none_fail() -> None:
    assert verdict(good().see("vip-holders", key="internal", value=["ctl1", "ctl2"]), "S8") is FAIL
    assert verdict(good().see("vip-holders", key="internal", value=[]), "S8") is FAIL


def test_s8_missing_evidence_is_unknown() -> None:
    assert verdict(good().without("vip-owner"), "S8") is UNKNOWN
    assert verdict(good().without("vip-holders"), "S8") is UNKNOWN
    assert verdict(good().without("vip-owner").without("vip-holders"), "S8") is UNKNOWN
    assert verdict(good().without("inject"), "S8") is UNKNOWN
    assert verdict(good().see("vip-holders", key="internal", value=["ctl2"], error="ctl1 is off"), "S8") is UNKNOWN
    first_seen_late = good().without("vip-owner").owner("internal", 30, "02:01").owner("external", 0.2, "02:01")
    assert verdict(first_seen_late, "S8") is UNKNOWN


# L1, L2, L3


def failing(*intervals: tuple[float, float], **expect: object) -> Trial:
    return good(failing=intervals, expect=expect)


def test_l1_an_outage_that_ends_in_time() -> None:
    assert verdict(failing((21, 60), heals_within_s=41), "L1") is PASS


def test_l1_an_outage_that_ends_late_fails() -> None:
    found = findings(failing((21, 60), heals_within_s=40))["L1"]
    assert found.verdict is FAIL
    assert found.sentence == "token succeeded again 40.500 s, not 40.000 s after the injection"


def test_l1_an_outage_that_only_the_heal_ends_fails() -> None:
    """A frozen nova-api did not come back until it was thawed."""
    assert verdict(failing((21, 67)), "L1") is FAIL
    assert verdict(failing((21, 67), heals_before_the_heal=False), "L1") is PASS


def test_l1_an_outage_without_an_end_fails() -> None:
    assert verdict(failing((21, 200)), "L1") is FAIL
    assert verdict(failing((30, 200)), "L1") is FAIL
    assert verdict(failing((70, 200)), "L1") is FAIL, "after the heal"


def test_l1_what_a_cut_history_does_not_show_is_unknown() -> None:
    assert verdict(cut(failing((21, 200))), "L1") is UNKNOWN
    assert verdict(cut(failing((30, 200))), "L1") is UNKNOWN
    assert verdict(cut(failing((30, 200), heals_within_s=60)), "L1") is FAIL, "time was up already"


def test_l1_a_stream_that_was_not_asked_is_unknown() -> None:
    assert verdict(good().without("token").ops("token", end=19), "L1") is UNKNOWN
    assert verdict(good().without("inject"), "L1") is UNKNOWN


def test_l1_a_vms_life_that_was_not_due_is_left_out() -> None:
    assert verdict(good().op("server-delete", 5), "L1") is PASS
    assert verdict(good().op("server-delete", 30, 60, "info"), "L1") is FAIL


def test_l2_complete_in_time() -> None:
    assert findings(good())["L2"].sentence == "complete 15.000 s after the heal"
    assert verdict(expecting(redundant_within_s=14), "L2") is FAIL


def test_l2_never_complete_fails_and_says_what_is_wrong() -> None:
    found = findings(good().without("health").health(66, "ctl1 is off").health(90, "2 of 3 members"))["L2"]
    assert found.verdict is FAIL
    assert found.sentence == "not complete when the trial ended: 2 of 3 members"


def test_l2_health_before_the_heal_does_not_count() -> None:
    assert verdict(good().without("health").health(64).health(90, "2 of 3 members"), "L2") is FAIL


def test_l2_missing_evidence_is_unknown() -> None:
    assert verdict(good().without("health"), "L2") is UNKNOWN
    assert verdict(good().without("heal"), "L2") is UNKNOWN
    assert verdict(cut(good().without("health").health(66, "ctl1 is off")), "L2") is UNKNOWN


def recovering() -> Trial:
    made = good(expect={"recovers_vms": True}).without("writer").without("volume").volume(1000)
    return made.writer(10, 20).writer(19, 38)


def test_l3_the_vm_answers_again_from_another_boot() -> None:
    found = findings(recovering().writer(60, 50, boot="b", first=40))
    assert found["L3"].verdict is PASS
    assert found["L3"].sentence == "the VM answered again 40.050 s after the injection"


def test_l3_the_same_boot_or_one_after_the_heal_fails() -> None:
    assert verdict(recovering().writer(60, 50), "L3") is FAIL
    assert verdict(recovering(), "L3") is FAIL
    assert "only after the heal" in findings(recovering().writer(HEAL + 1, 50, boot="b", first=40))["L3"].sentence


def test_l3_missing_evidence_is_unknown() -> None:
    assert verdict(recovering().without("writer"), "L3") is UNKNOWN
    assert verdict(recovering().without("writer").writer(60, 50, boot="b"), "L3") is UNKNOWN
    assert verdict(recovering().without("inject"), "L3") is UNKNOWN
    assert verdict(cut(recovering().without("heal")), "L3") is UNKNOWN


# T


def test_t_a_window_against_its_threshold() -> None:
    found = findings(expecting(error_window_s={"token": 4}))["T token"]
    assert found.verdict is PASS
    assert found.sentence == "token: failed for 2.000 s at least, 4.000 s at most, 4 s are allowed"
    assert verdict(expecting(error_window_s={"token": 3.9}), "T token") is FAIL
    assert verdict(failing(error_window_s={"token": 0}), "T token") is PASS


def test_t_failback_is_its_own() -> None:
    expect = {"error_window_s": {"token": 4}, "failback_window_s": {"token": 2.5}}
    found = findings(failing((21, 24), (70, 71), **expect))
    assert (found["T token"].verdict, found["T token failback"].verdict) == (PASS, PASS)
    found = findings(failing((21, 24), (70, 72), **expect))
    assert (found["T token"].verdict, found["T token failback"].verdict) == (PASS, FAIL)


def test_t_a_star_is_every_stream_that_begins_so() -> None:
    made = expecting(error_window_s={"read-*": 3})
    made.ops("read-image-external").ops("read-image-internal", failing=[(30, 32)])
    assert verdict(made, "T read-*") is PASS
    made.ops("read-network-external", failing=[(30, 33)])
    found = findings(made)["T read-*"]
    assert found.verdict is FAIL
    assert found.sentence.startswith("read-network-external: ")
    assert len(found.evidence) == 3


def test_t_a_star_may_stand_anywhere() -> None:
    made = expecting(failback_window_s={"read-*-external": 1}).ops("read-image-external")
    assert verdict(made.ops("read-image-internal", failing=[(70, 80)]), "T read-*-external failback") is PASS
    made.ops("read-network-external", failing=[(70, 80)])
    assert verdict(made, "T read-*-external failback") is FAIL


def test_trap_missing_evidence_improves_the_score() -> None:
    """krkn: an objective without data is skipped."""
    assert verdict(expecting(error_window_s={"udp": 3}), "T udp") is UNKNOWN
    assert verdict(expecting(error_window_s={"udp*": 3}), "T udp*") is UNKNOWN
    promised = expecting(error_window_s={"udp": 3}).without("load").load({"udp": 20})
    assert verdict(promised, "T udp") is UNKNOWN, "it was promised, and is not in the history"
    idle = expecting(error_window_s={"token": 3}, failback_window_s={"token": 3}).without("token").ops("token", end=19)
    assert (verdict(idle, "T token"), verdict(idle, "T token failback")) == (UNKNOWN, UNKNOWN)


def test_t_a_window_without_an_end_fails() -> None:
    assert verdict(failing((50, 200), error_window_s={"token": 500}), "T token") is FAIL
    assert verdict(cut(failing((50, 200), error_window_s={"token": 500})), "T token") is UNKNOWN
    assert verdict(cut(failing((50, 200), error_window_s={"token": 5})), "T token") is FAIL


def test_t_a_window_without_a_beginning_is_unknown_if_it_might_be_short_enough() -> None:
    made = expecting(error_window_s={"server-accept": 30}).op("server-accept", 30, kind="info").op("server-accept", 50)
    assert verdict(made, "T server-accept") is UNKNOWN
    made = expecting(error_window_s={"server-accept": 10}).op("server-accept", 30, kind="info").op("server-accept", 50)
    assert verdict(made, "T server-accept") is FAIL


@pytest.mark.parametrize(
    ("truth", "expected"), [((2, 4), PASS), ((0, 9), PASS), ((2.1, 4), FAIL), ((2, 3.9), FAIL), ((0, 1), FAIL)]
)
def test_t_the_positive_control_measures_the_truth(truth: tuple[float, float], expected: Verdict) -> None:
    assert verdict(expecting(error_window_between_s={"token": truth}), "T token truth") is expected


def test_t_a_control_that_sees_nothing_or_no_end_fails() -> None:
    expect = {"error_window_between_s": {"token": (0, 100)}}
    assert verdict(failing(**expect), "T token truth") is FAIL
    assert verdict(failing((50, END), **expect), "T token truth") is FAIL
    assert verdict(expecting(error_window_between_s={"udp": (0, 100)}), "T udp truth") is UNKNOWN


def test_t_all_of_no_streams_is_not_all_well() -> None:
    assert verdict(expecting(error_window_s={"*": 20}), "T *") is PASS
    assert verdict(Trial(expect={"error_window_s": {"*": 20}}).fault(), "T *") is UNKNOWN


def lasting(**changes: object) -> Trial:
    """A trial whose fault lasts until it is healed, and was seen to."""
    return good(target="vip-holder", fault={"kind": "power-cut"}, **changes).step("still", 64)


def test_v1_a_fault_that_ended_by_itself_proves_nothing() -> None:
    assert verdict(lasting(), "V1") is PASS
    assert verdict(lasting().without("still"), "V1") is UNKNOWN


def test_v1_lines_taken_out_of_the_middle_are_noticed() -> None:
    lines = good().text().splitlines()
    whole = [line for line in lines if '"kind":"fail"' not in line]
    assert len(whole) < len(lines)
    made = case_of(read(whole), good().scenario)
    assert next(each.verdict for each in check(made) if each.id == "V1") is UNKNOWN


def test_v1_where_everything_is_hit_everything_must_have_been_there() -> None:
    roles = {"internal VIP": ["ctl1"], "database writer": ["ctl1"]}

    def hit(found: dict[str, list[str]]) -> Verdict:
        made = good(target="everything", fault={"kind": "power-cut"}).step("still", 64).without("target")
        return verdict(made.see("target", 20, value={"hosts": ["ctl1"], "roles": found}), "V1")

    assert hit(roles) is PASS
    assert hit({**roles, "database writer": ["ctl2"]}) is UNKNOWN
    assert hit({}) is UNKNOWN


def test_v1_a_drill_in_trouble_proves_nothing() -> None:
    assert verdict(good().see("trouble", 70, error="ctl1 does not answer"), "V1") is UNKNOWN


def test_s2_a_record_that_is_there_twice_fails() -> None:
    assert verdict(good().present("r1", ["ctl2"]), "S2") is FAIL


def test_l4_a_session_that_breaks_fails_where_it_must_not() -> None:
    def session(*seen: tuple[float, str], **expect: object) -> Trial:
        made = good(expect={"keeps_sessions": True, **expect})
        for at, value in seen:
            made.see("tcp-session", at, value=value)
        return made

    assert verdict(session((1, "opened")), "L4") is PASS
    # After the load has ended it may end as well.
    assert verdict(session((1, "opened"), (99.5, "broken: ended")), "L4") is PASS
    assert verdict(session((1, "opened"), (22, "broken: reset"), (23, "opened")), "L4") is FAIL
    assert verdict(session(), "L4") is UNKNOWN
    assert "L4" not in findings(good())
