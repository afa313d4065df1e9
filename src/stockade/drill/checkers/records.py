"""S1, S2, S5: the acknowledged set. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from stockade.drill.checkers.case import Case, Outcome, Row, by_node, combined, unread_rows
from stockade.drill.history import Kind
from stockade.drill.verdict import Verdict


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
    return [combined(_with_unread(case, rows, good), good)]


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
    return [combined(_with_unread(case, rows, good), good)]


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
    return [combined(_with_unread(case, rows, good), good)]


def _has_set(case: Case) -> bool:
    return case.scenario.load.acknowledged > 0 or "set-add" in case.operations


def _keys(case: Case, kind: Kind) -> set[str]:
    return {each.key for each in case.operations.get("set-add", ()) if each.kind is kind and each.key is not None}


def _set_lists(case: Case) -> dict[str, frozenset[str]]:
    """Records that are there, by the controller that says so; controllers that could not be read are left out."""
    looks = by_node(case.history.observed("set-read"))
    return {node: frozenset(each.value) for node, each in looks.items() if not each.error and each.value is not None}


def _doubled(case: Case) -> Iterator[tuple[str, int]]:
    """Hosts through which a record is there more than once, and how many records."""
    for node, each in by_node(case.history.observed("set-read")).items():
        names = list(each.value or ())
        if len(names) > len(set(names)):
            yield node, len(names) - len(set(names))


def _with_unread(case: Case, violations: list[Row], good: str) -> list[Row]:
    looks = by_node(case.history.observed("set-read"))
    missing = unread_rows(looks) if looks else [(Verdict.UNKNOWN, "no controller was asked for the records")]
    return [*violations, *missing] or [(Verdict.PASS, good)]
