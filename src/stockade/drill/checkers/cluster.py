"""S6, S8: the database's members and the VIPs' holders. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from stockade.drill.checkers.case import Case, Outcome, Row, by_node, combined, unread_rows
from stockade.drill.history import Event
from stockade.drill.scenario import Scenario
from stockade.drill.verdict import Verdict

SEQNO_SLACK = 50
"""Transactions by which members of the database may seem to differ: they are asked one after another while the cloud
works."""


def members_agree(case: Case) -> list[Outcome]:
    """S6: the database's members are one cluster, all synced, at the same position but for `SEQNO_SLACK`."""
    looks = by_node(case.history.observed("galera"))
    if not looks:
        return [Outcome(Verdict.UNKNOWN, "no member of the database was asked")]
    unread = unread_rows(looks)
    values = {node: each.value for node, each in looks.items() if not each.error and each.value is not None}
    rows: list[Row] = [*_member_rows(values, len(looks)), *unread]
    good = f"{len(looks)} members of one cluster, synced, within {SEQNO_SLACK} transactions"
    return [combined(rows or [(Verdict.PASS, good)], good)]


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
    return [combined(rows, "each VIP has one holder and changed hands as often as allowed")]


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
