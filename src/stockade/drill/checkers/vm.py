"""S3, L3, L4: the VM, its writer and the session to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stockade.drill.checkers.case import Case, Outcome, Row, combined, never, seconds
from stockade.drill.metrics import Operation
from stockade.drill.verdict import Verdict

WRITING = frozenset({"writing", "error"})
"""States of the VM's writer in which its numbers are those on its disk; else it is still looking for one."""


def one_writer(case: Case) -> list[Outcome]:
    """S3: numbers never go back, no boot writes after another has begun, and the volume ends where it was left."""
    if case.scenario.load.writer == 0 and "writer" not in case.operations:
        return []
    answers = sorted((each for each in case.operations.get("writer", ()) if each.ok), key=lambda each: each.end_ns)
    if not answers:
        return [Outcome(Verdict.UNKNOWN, "the writer never answered")]
    largest = max(int(each.value["last"]) for each in answers)
    boots = {each.value["boot"] for each in answers}
    rows = [*_writer_rows(answers), *_volume_rows(case, largest)]
    good = f"{largest} records of {len(boots)} boots, in one order, none lost"
    return [combined(rows or [(Verdict.PASS, good)], good)]


def _writer_rows(answers: Sequence[Operation]) -> Iterator[Row]:
    """An answer is compared with those that had ended before it was asked for: of two that overlap nobody knows which
    the VM gave first, and one that the network kept back for a while is no record going back."""
    reported: set[tuple[str, str]] = set()
    for answer in answers:
        earlier = [each for each in answers if each.end_ns < answer.sent_ns]
        boot, last, first = answer.value["boot"], int(answer.value["last"]), int(answer.value["first"])
        others = [each for each in earlier if each.value["boot"] != boot]
        if _returned(boot, earlier, others) and ("return", boot) not in reported:
            reported.add(("return", boot))
            yield Verdict.FAIL, f"boot {boot} answered again at {seconds(answer.end_ns)}, after another boot had"
        if answer.value["state"] not in WRITING:
            continue
        known = max((int(each.value["last"]) for each in earlier), default=0)
        if last < known:
            yield Verdict.FAIL, f"boot {boot} was at {last} at {seconds(answer.end_ns)}, and {known} was acknowledged"
        left = max((int(each.value["last"]) for each in others), default=0)
        if 0 < first <= left and ("first", boot) not in reported:
            reported.add(("first", boot))
            yield Verdict.FAIL, f"boot {boot} began with {first}, and {left} was acknowledged before by another"


def _returned(boot: str, earlier: Sequence[Operation], others: Sequence[Operation]) -> bool:
    """The boot was seen, then another, and now it is seen again."""
    seen = min((each.end_ns for each in earlier if each.value["boot"] == boot), default=None)
    return seen is not None and any(each.sent_ns > seen for each in others)


def _volume_rows(case: Case, largest: int) -> list[Row]:
    looks = case.history.observed("volume")
    if not looks:
        return [(Verdict.UNKNOWN, "the volume was not read at the end")]
    if looks[-1].error or looks[-1].value is None:
        return [(Verdict.UNKNOWN, f"the volume could not be read: {looks[-1].error or 'it gave nothing'}")]
    value = looks[-1].value
    rows: list[Row] = [(Verdict.FAIL, f"on the volume: {each}") for each in value["problems"]]
    if lost := max(0, largest - int(value["last"])):
        rows.append((Verdict.FAIL, f"{lost} acknowledged records are lost: the volume ends at {value['last']}"))
    return rows


def recovers(case: Case) -> list[Outcome]:
    """L3: another boot of the VM answers after the injection and before the heal."""
    if not case.scenario.expect.recovers_vms:
        return []
    inject, heal = case.span.inject_ns, case.span.heal_ns
    answers = [each for each in case.operations.get("writer", ()) if each.ok]
    if inject is None or not answers:
        return [Outcome(Verdict.UNKNOWN, "no fault was injected" if inject is None else "the writer never answered")]
    before = {each.value["boot"] for each in answers if each.end_ns < inject}
    if not before:
        return [Outcome(Verdict.UNKNOWN, "nobody knows which boot of the VM ran before the injection")]
    limit = case.span.end_ns if heal is None else heal
    again = [each for each in answers if each.start_ns >= inject and each.value["boot"] not in before]
    in_time = [each.end_ns for each in again if each.end_ns <= limit]
    if in_time:
        return [Outcome(Verdict.PASS, f"the VM answered again {seconds(min(in_time) - inject)} after the injection")]
    if heal is None:
        return [Outcome(never(case, limit + 1), "the VM did not answer again")]
    return [
        Outcome(Verdict.FAIL, "the VM " + ("answered again only after the heal" if again else "did not answer again"))
    ]


def keeps_sessions(case: Case) -> list[Outcome]:
    """L4, where it is expected: the TCP session that was open at the injection is open at the end of the load."""
    if not case.scenario.expect.keeps_sessions:
        return []
    inject, end = case.span.inject_ns, case.span.end_ns
    seen = [(each.time_ns, str(each.value)) for each in case.history.observed("tcp-session")]
    if inject is None or not any(at < inject and value == "opened" for at, value in seen):
        return [Outcome(Verdict.UNKNOWN, "no session was open at the injection")]
    end = next((each.time_ns for each in case.history.observed("load") if each.key == "end"), end)
    broken = [(at, value) for at, value in seen if inject <= at <= end and value != "opened"]
    if broken:
        at, value = broken[0]
        return [Outcome(Verdict.FAIL, f"the session was {value}, {seconds(at - inject)} after the injection")]
    if not case.history.whole:
        return [Outcome(Verdict.UNKNOWN, "the history ends before the load does")]
    return [Outcome(Verdict.PASS, "the session that was open before the injection lived to the end")]
