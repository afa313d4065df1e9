"""The checkers: each looks at one trial and says whether one thing holds. Pure.

A checker says FAIL if the history shows a violation, UNKNOWN if it cannot show that there is none, and else PASS. A
violation that is seen is a FAIL also where other evidence is missing: what is missing cannot undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from typing import Any

from stockade.drill.history import SECOND_NS, Event, History, Kind
from stockade.drill.metrics import Operation, Span, figures, operations, promised, span
from stockade.drill.scenario import Scenario, TargetRole, digest_of
from stockade.drill.verdict import Finding, StreamFigures, Verdict, Window, merged

EVIDENCE_MAX = 20
"""Lines of evidence in a finding; the history has the rest."""
LAG_MAX_MS = 500
"""How late the probes may be, 99th percentile, before a trial proves nothing. It is this much because a lab's hosts
share the cores of the computer that probes, and it is half of the bin in which an API's availability is told. A late
probe makes latencies longer, never shorter: they count from when it was due."""
SEQNO_SLACK = 50
"""Transactions by which members of the database may seem to differ: they are asked one after another while the cloud
works."""
OFFERED_MIN = 0.5
"""Share of the promised operations that must have been offered since the injection."""
PROMISED_MIN = 20
"""Promised operations from which that share is told: of a few, one more or less is too large a part."""
RARE = 2
"""Promised operations of a VM's life below which a phase may well have none."""
WRITING = frozenset({"writing", "error"})
"""States of the VM's writer in which its numbers are those on its disk; else it is still looking for one."""

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


def check(case: Case) -> tuple[Finding, ...]:
    """Every checker's findings, in the order of `CHECKERS`."""
    return tuple(found for id_, title, checker in CHECKERS for found in _findings(case, id_, title, checker))


def _findings(case: Case, id_: str, title: str, checker: Checker) -> list[Finding]:
    try:
        outcomes = checker(case)
    except Exception as error:
        # What a checker did not expect is no evidence that all is well.
        outcomes = [Outcome(Verdict.UNKNOWN, f"the checker failed: {type(error).__name__}: {error}")]
    return [
        Finding(f"{id_} {each.about}".rstrip(), title, each.verdict, each.sentence, _capped(each.evidence))
        for each in outcomes
    ]


def _capped(lines: tuple[str, ...]) -> tuple[str, ...]:
    if len(lines) <= EVIDENCE_MAX:
        return lines
    shown = EVIDENCE_MAX - 1
    return (*lines[:shown], f"and {len(lines) - shown} more")


def _combined(rows: Collection[Row], good: str, about: str = "") -> Outcome:
    """The worst of the rows; all of them are the evidence, worst first."""
    worst = merged(verdict for verdict, _line in rows)
    ranked = [line for verdict in reversed(Verdict) for each, line in rows if each is verdict]
    if worst is Verdict.PASS:
        return Outcome(worst, good, tuple(ranked), about)
    count = sum(verdict is worst for verdict, _line in rows)
    sentence = ranked[0] if ranked else "nothing was looked at"
    return Outcome(worst, sentence + (f" (and {count - 1} more)" if count > 1 else ""), tuple(ranked), about)


def _seconds(ns: int) -> str:
    return f"{ns / SECOND_NS:.3f} s"


def _by_node(events: Iterable[Event]) -> dict[str, Event]:
    """The last look at each host, by its name."""
    last = {each.node or "a host without a name": each for each in events}
    return dict(sorted(last.items()))


def _unread(looks: Mapping[str, Event]) -> list[Row]:
    return [
        (Verdict.UNKNOWN, f"{node} could not be read: {each.error or 'it gave nothing'}")
        for node, each in looks.items()
        if each.error or each.value is None
    ]


# V1: was the run meaningful?


def meaningful(case: Case) -> list[Outcome]:
    """V1: whatever is wrong with the run itself makes it prove nothing; it is never the cloud's fault."""
    problems = [*_record_problems(case), *_fault_problems(case), *_stream_problems(case)]
    good = "the record is whole, every stream worked before the fault, and the fault took effect"
    return [_combined([(Verdict.UNKNOWN, each) for each in problems] or [(Verdict.PASS, good)], good)]


def _record_problems(case: Case) -> Iterator[str]:
    if any(each.index != number for number, each in enumerate(case.history.events)):
        yield "lines are missing from the history, or in another order"
    if not case.history.whole:
        yield "the history has no end: the drill did not finish"
    if case.history.header.get("digest") != digest_of(case.history.header.get("scenario")):
        yield "the scenario in the history is not the one whose digest it has"
    keys = {each.key for each in case.history.observed("load")}
    if "begin" not in keys:
        yield "the load never began"
    elif not case.promised:
        yield "the load promised no stream"
    if "end" not in keys:
        yield "the load did not end by itself"


def _fault_problems(case: Case) -> Iterator[str]:
    if case.span.inject_ns is None:
        yield "no fault was injected"
    elif case.history.step_ns("confirmed") is None:
        yield "nobody saw the fault take effect"
    if case.history.step_ns("gave-up") is not None:
        yield "the drill gave up"
    for each in case.history.observed("trouble"):
        yield f"the drill had trouble: {each.error}"
    if case.scenario.lasts and case.span.inject_ns is not None and case.history.step_ns("still") is None:
        yield "nobody saw that the fault was still in force when it was healed"
    if case.scenario.target is TargetRole.EVERYTHING:
        yield from _scattered(case)


def _scattered(case: Case) -> Iterator[str]:
    """Roles that were not on the host that was hit, where all of them should have been."""
    seen = case.history.observed("target")
    value = seen[-1].value if seen and isinstance(seen[-1].value, dict) else {}
    if not value.get("roles"):
        yield "nobody looked who had which role"
    for role, hosts in value.get("roles", {}).items():
        if hosts != value.get("hosts"):
            yield f"{role} was on {', '.join(hosts) or 'no host'} and not on the host that was hit"


def _stream_problems(case: Case) -> Iterator[str]:
    for stream in case.promised:
        done = case.operations.get(stream, ())
        if not any(each.ok and case.span.before_fault(each) for each in done) and not _rare(case, stream, fault=False):
            yield f"{stream} had no success before the fault"
        due = _due(case, stream, fault=True)
        offered = sum(case.span.since_fault(each) for each in done)
        if due >= PROMISED_MIN and offered < OFFERED_MIN * due:
            yield f"{stream} was offered {offered} times since the injection, and {due:.0f} were promised"
    for figure in case.figures:
        if figure.lag_p99_ms is not None and figure.lag_p99_ms > LAG_MAX_MS:
            yield f"{figure.stream}: the probe was {figure.lag_p99_ms:.0f} ms late, allowed are {LAG_MAX_MS} ms"


def _due(case: Case, stream: str, *, fault: bool) -> float:
    """How many operations were promised before the injection or, with `fault`, since.

    The promise ends with the last operation of any promised stream. The load's own end comes later: it waits for what
    is under way, and offers nothing meanwhile.
    """
    last = max((each.start_ns for name in case.promised for each in case.operations.get(name, ())), default=0)
    inject = last if case.span.inject_ns is None else case.span.inject_ns
    length = last - inject if fault else inject - case.span.begin_ns
    return case.promised.get(stream, 0) * max(0, length) / SECOND_NS


def _rare(case: Case, stream: str, *, fault: bool) -> bool:
    """It is a VM's life, of which so few were due that there may have been none."""
    return stream.startswith("server-") and _due(case, stream, fault=fault) < RARE


# S1, S2, S5: the acknowledged set


def acknowledged(case: Case) -> list[Outcome]:
    """S1: every acknowledged record is in the list that each controller gave."""
    if not _has_set(case):
        return []
    kept = _keys(case, Kind.OK)
    if not kept:
        return [Outcome(Verdict.UNKNOWN, "no record was acknowledged, so none could be lost")]
    lists = _set_lists(case)
    rows: list[Row] = [
        (Verdict.FAIL, f"{key} was acknowledged and is missing through {', '.join(missing)}")
        for key in sorted(kept)
        if (missing := [node for node, present in lists.items() if key not in present])
    ]
    good = f"all {len(kept)} acknowledged records are there through each of {len(lists)} controllers"
    return [_combined(_with_unread(case, rows, good), good)]


def unasked(case: Case) -> list[Outcome]:
    """S2: every record that is there was asked for, and was not refused."""
    if not _has_set(case):
        return []
    asked = {each.key for each in case.history.kind(Kind.INVOKE) if each.f == "set-add"}
    asked |= _keys(case, Kind.OK) | _keys(case, Kind.INFO)
    refused = _keys(case, Kind.FAIL)
    rows: list[Row] = []
    for node, count in _doubled(case):
        rows.append((Verdict.FAIL, f"{count} records are there more than once through {node}"))
    for node, present in _set_lists(case).items():
        rows += [(Verdict.FAIL, f"{key} failed and is there through {node}") for key in sorted(present & refused)]
        unknown = sorted(present - asked - refused)
        rows += [(Verdict.FAIL, f"{key} was never asked for and is there through {node}") for key in unknown]
    good = "no record is there that was not asked for"
    return [_combined(_with_unread(case, rows, good), good)]


def undecided(case: Case) -> list[Outcome]:
    """S5: a record of which nobody was told whether it was made is on all controllers or on none."""
    if not _has_set(case):
        return []
    lists, keys = _set_lists(case), _keys(case, Kind.INFO)
    rows: list[Row] = []
    for key in sorted(keys):
        there = [node for node, present in lists.items() if key in present]
        if there and len(there) < len(lists):
            rows.append((Verdict.FAIL, f"{key} is there only through {', '.join(there)}"))
    good = f"each of {len(keys)} records with unknown outcome is on all controllers or on none"
    return [_combined(_with_unread(case, rows, good), good)]


def _has_set(case: Case) -> bool:
    return case.scenario.load.acknowledged > 0 or "set-add" in case.operations


def _keys(case: Case, kind: Kind) -> set[str]:
    return {each.key for each in case.operations.get("set-add", ()) if each.kind is kind and each.key is not None}


def _set_lists(case: Case) -> dict[str, frozenset[str]]:
    """Records that are there, by the controller that says so; controllers that could not be read are left out."""
    looks = _by_node(case.history.observed("set-read"))
    return {node: frozenset(each.value) for node, each in looks.items() if not each.error and each.value is not None}


def _doubled(case: Case) -> Iterator[tuple[str, int]]:
    """Hosts through which a record is there more than once, and how many records."""
    for node, each in _by_node(case.history.observed("set-read")).items():
        names = list(each.value or ())
        if len(names) > len(set(names)):
            yield node, len(names) - len(set(names))


def _with_unread(case: Case, violations: list[Row], good: str) -> list[Row]:
    looks = _by_node(case.history.observed("set-read"))
    missing = _unread(looks) if looks else [(Verdict.UNKNOWN, "no controller was asked for the records")]
    return [*violations, *missing] or [(Verdict.PASS, good)]


# S3: the VM's writer


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
    return [_combined(rows or [(Verdict.PASS, good)], good)]


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
            yield Verdict.FAIL, f"boot {boot} answered again at {_seconds(answer.end_ns)}, after another boot had"
        if answer.value["state"] not in WRITING:
            continue
        known = max((int(each.value["last"]) for each in earlier), default=0)
        if last < known:
            yield Verdict.FAIL, f"boot {boot} was at {last} at {_seconds(answer.end_ns)}, and {known} was acknowledged"
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


# S6, S8: members and addresses


def members_agree(case: Case) -> list[Outcome]:
    """S6: the database's members are one cluster, all synced, at the same position but for `SEQNO_SLACK`."""
    looks = _by_node(case.history.observed("galera"))
    if not looks:
        return [Outcome(Verdict.UNKNOWN, "no member of the database was asked")]
    unread = _unread(looks)
    values = {node: each.value for node, each in looks.items() if not each.error and each.value is not None}
    rows: list[Row] = [*_member_rows(values, len(looks)), *unread]
    good = f"{len(looks)} members of one cluster, synced, within {SEQNO_SLACK} transactions"
    return [_combined(rows or [(Verdict.PASS, good)], good)]


def _member_rows(values: Mapping[str, Any], count: int) -> Iterator[Row]:
    for node, value in values.items():
        if value["state"] != "Synced":
            yield Verdict.FAIL, f"{node} is {value['state']}, not Synced"
        if value["size"] != count:
            yield Verdict.FAIL, f"{node} sees {value['size']} members of {count}"
    clusters = sorted({value["cluster"] for value in values.values()})
    if len(clusters) > 1:
        yield Verdict.FAIL, f"there are {len(clusters)} clusters: {', '.join(clusters)}"
    positions = [int(value["seqno"]) for value in values.values()]
    if positions and max(positions) - min(positions) > SEQNO_SLACK:
        yield Verdict.FAIL, f"positions differ by {max(positions) - min(positions)}, from {min(positions)} on"


def one_holder(case: Case) -> list[Outcome]:
    """S8: each VIP has one holder at the end, and changed hands no more often than allowed, failback included."""
    inject = case.span.inject_ns
    if inject is None:
        return [Outcome(Verdict.UNKNOWN, "no fault was injected")]
    owners, holders = case.history.observed("vip-owner"), case.history.observed("vip-holders")
    names = sorted({each.key or "" for each in (*owners, *holders)})
    rows: list[Row] = []
    for name in names:
        rows.append(_owner_row(name, [each for each in owners if each.key == name], inject, case.scenario))
        rows.append(_holder_row(name, [each for each in holders if each.key == name]))
    rows = rows or [(Verdict.UNKNOWN, "no VIP was looked at")]
    return [_combined(rows, "each VIP has one holder and changed hands as often as allowed")]


def _owner_row(name: str, seen: Sequence[Event], inject_ns: int, scenario: Scenario) -> Row:
    # Nobody answering for a moment is no owner: from one back to the same, nothing changed hands.
    owned = [(each.time_ns, each.value) for each in seen if each.value is not None]
    if not owned or owned[0][0] > inject_ns:
        return Verdict.UNKNOWN, f"{name}: nobody knows who had it at the injection"
    changes = sum(now != before and at >= inject_ns for (_at, before), (at, now) in pairwise(owned))
    allowed = scenario.expect.owner_changes
    line = f"{name} changed hands {changes} times, at most {allowed} are allowed"
    return (Verdict.FAIL if changes > allowed else Verdict.PASS), line


def _holder_row(name: str, seen: Sequence[Event]) -> Row:
    if not seen or seen[-1].value is None:
        return Verdict.UNKNOWN, f"{name}: its holders were not looked at"
    hosts = seen[-1].value
    if len(hosts) > 1:
        return Verdict.FAIL, f"{name} is on {len(hosts)} hosts: {', '.join(hosts)}"
    if seen[-1].error:
        return Verdict.UNKNOWN, f"{name}: not every host could be asked: {seen[-1].error}"
    return (Verdict.PASS, f"{name} is on {hosts[0]}") if hosts else (Verdict.FAIL, f"{name} is on no host")


# L1, L2, L3: liveness


def _never(case: Case, deadline_ns: int) -> Verdict:
    """The verdict on something that did not happen: none, if the history was cut off while there still was time."""
    return Verdict.FAIL if case.history.whole or case.span.end_ns >= deadline_ns else Verdict.UNKNOWN


def succeeds_again(case: Case) -> list[Outcome]:
    """L1: after its failures each stream succeeds in time.

    The first success after the last failure before the heal must have been meant to start within `heals_within_s` of
    the injection and, if the scenario says so, before the heal. After failures from the heal on there must be any.
    """
    if case.span.inject_ns is None:
        return [Outcome(Verdict.UNKNOWN, "no fault was injected")]
    rows = [row for figure in case.figures for row in _stream_rows(case, figure, case.span.inject_ns)]
    return [_combined(rows, "every stream succeeded again in time")]


def _stream_rows(case: Case, figure: StreamFigures, inject_ns: int) -> Iterator[Row]:
    name, within = figure.stream, case.scenario.expect.heals_within_s
    deadline = inject_ns + round(within * SECOND_NS)
    after = [each for each in case.operations.get(name, ()) if case.span.since_fault(each)]
    if not any(each.ok for each in after):
        if after:
            yield _never(case, deadline), f"{name} never succeeded after the injection"
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
    within = f"{_seconds(deadline_ns - inject_ns)} after the injection"
    if again is None:
        yield _never(case, deadline_ns), f"{name} had not succeeded again when the trial ended"
    elif again > deadline_ns:
        yield Verdict.FAIL, f"{name} succeeded again {_seconds(again - inject_ns)}, not {within}"
    elif case.scenario.expect.heals_before_the_heal and heal is not None and again >= heal:
        yield Verdict.FAIL, f"{name} succeeded again only {_seconds(again - heal)} after the heal"


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
        return [Outcome(Verdict.PASS, f"complete {_seconds(healthy - heal)} after the heal")]
    if healthy is not None:
        sentence = f"complete only {_seconds(healthy - heal)} after the heal, {_seconds(deadline - heal)} are allowed"
        return [Outcome(Verdict.FAIL, sentence)]
    told = [each.value for each in looks if each.value is not None]
    if not told:
        return [Outcome(Verdict.UNKNOWN, "nobody looked at the cloud's health after the heal")]
    wrong = tuple(str(each) for each in told[-1]["wrong"])
    sentence = f"not complete when the trial ended: {'; '.join(wrong) or 'no reason given'}"
    return [Outcome(_never(case, deadline), sentence, wrong)]


def first_healthy_ns(history: History) -> int | None:
    """When the cloud was first seen complete after the heal; None if it never was."""
    heal = history.step_ns("heal")
    looks = () if heal is None else [each for each in history.observed("health") if each.time_ns >= heal]
    healthy = (each for each in looks if isinstance(each.value, Mapping) and each.value.get("healthy") is True)
    return next((each.time_ns for each in healthy), None)


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
        return [Outcome(Verdict.PASS, f"the VM answered again {_seconds(min(in_time) - inject)} after the injection")]
    if heal is None:
        return [Outcome(_never(case, limit + 1), "the VM did not answer again")]
    return [
        Outcome(Verdict.FAIL, "the VM " + ("answered again only after the heal" if again else "did not answer again"))
    ]


# T: the scenario's thresholds


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
        return [Outcome(Verdict.FAIL, f"the session was {value}, {_seconds(at - inject)} after the injection")]
    if not case.history.whole:
        return [Outcome(Verdict.UNKNOWN, "the history ends before the load does")]
    return [Outcome(Verdict.PASS, "the session that was open before the injection lived to the end")]


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
    return _combined(rows, rows[0][1] if len(rows) == 1 else f"all {len(rows)} streams keep it", about)


def _at_most(case: Case, limit_s: float, window: Window | None) -> Row:
    limit, allowed = round(limit_s * SECOND_NS), f"{limit_s:g} s are allowed"
    if window is None:
        return Verdict.PASS, f"nothing failed, {allowed}"
    if window.upper_ns is None:
        # Cut off before its end a history shows no more than the lower bound.
        certain = case.history.whole or window.lower_ns > limit
        line = f"failed for {_seconds(window.lower_ns)} at least and had not ended when the trial did, {allowed}"
        return (Verdict.FAIL if certain else Verdict.UNKNOWN), line
    line = f"failed for {_seconds(window.lower_ns)} at least, {_seconds(window.upper_ns)} at most, {allowed}"
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
    line = f"measured {_seconds(window.lower_ns)} at least, {_seconds(window.upper_ns)} at most, and {wanted}"
    fits = window.lower_ns >= round(low_s * SECOND_NS) and window.upper_ns <= round(high_s * SECOND_NS)
    return (Verdict.PASS if fits else Verdict.FAIL), line


CHECKERS: tuple[tuple[str, str, Checker], ...] = (
    ("V1", "the run was meaningful", meaningful),
    ("S1", "every acknowledged record is there, through each controller", acknowledged),
    ("S2", "no record is there that was never asked for, or that failed", unasked),
    ("S3", "the VM has one writer", one_writer),
    ("S5", "a record with unknown outcome is on all controllers or on none", undecided),
    ("S6", "the database's members agree", members_agree),
    ("S8", "each VIP has one holder and changes hands seldom", one_holder),
    ("L1", "every stream succeeds again in time", succeeds_again),
    ("L2", "the cloud is complete again in time after the heal", complete_again),
    ("L3", "the VM answers again before its host returns", recovers),
    ("L4", "the long TCP session does not break", keeps_sessions),
    ("T", "a threshold of the scenario", thresholds),
)
"""Id, what holds if it passes, and who looks."""
