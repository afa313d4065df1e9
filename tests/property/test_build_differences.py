"""The plan finds any single deviation and touches nothing else; a host that is as it should be gets no plan."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from build_world import CLOUDS, files_of, perfect, rendered, units_of

from stockade.build.model import Bundle, Start, Unit
from stockade.build.plan import plan

FACTS = {(cloud, host): perfect(bundle) for cloud in CLOUDS for host, bundle in rendered(cloud).items()}
PLACES = [
    (cloud, host, kind, subject)
    for (cloud, host), found in FACTS.items()
    for kind in ("files", "units", "packages", "masked", "resources")
    for subject in found[kind]
]
FAST = settings(max_examples=300, deadline=None, derandomize=True)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_hosts_that_equal_their_bundles_get_no_plan(cloud: str) -> None:
    bundles = rendered(cloud)
    assert plan(bundles, {host: FACTS[cloud, host] for host in bundles}).changes == ()


def verbs_after_a_change(bundle: Bundle, path: str) -> dict[str, str]:
    """What each unit that reads the file must do."""

    def verb(unit: Unit) -> str:
        if unit.oneshot:
            return "apply"
        return "restart" if path in unit.reads else "reload"

    units = units_of(bundle).values()
    return {unit.name: verb(unit) for unit in units if path in (*unit.reads, *unit.reloads)}


def deviate_file(data: st.DataObject, bundle: Bundle, path: str, entry: dict[str, Any]) -> dict[str, str]:
    where = data.draw(st.sampled_from(["owner", "group", "mode", "sha256", "type"]))
    if where == "sha256" and "sha256" not in entry:
        where = "owner"
    entry[where] = 0o1777 if where == "mode" else "somebody"
    return {path: ""} | (verbs_after_a_change(bundle, path) if path in files_of(bundle) else {})


def deviate_unit(data: st.DataObject, bundle: Bundle, name: str, entry: dict[str, Any]) -> dict[str, str]:
    unit = units_of(bundle)[name]
    where = data.draw(st.sampled_from(["active", "enabled", "marker"]))
    if where == "active":
        entry["active"] = data.draw(st.sampled_from(["inactive", "failed"]))
        return {} if unit.oneshot or unit.start is Start.AGENT else {name: "start"}
    if where == "enabled":
        entry["enabled"] = "enabled" if unit.start is Start.AGENT else "disabled"
        return {name: "apply" if unit.oneshot else ""}
    entry["marker"] = "of something else"
    return {name: "apply" if unit.oneshot else "restart"}


def deviate(data: st.DataObject, bundle: Bundle, found: dict[str, Any], kind: str, subject: str) -> dict[str, str]:
    """Make one thing other than it should be; the subjects a plan must name, and the verb of each."""
    if kind == "files":
        if data.draw(st.booleans()):
            found["files"][subject] = None
            return {subject: ""} | (verbs_after_a_change(bundle, subject) if subject in files_of(bundle) else {})
        return deviate_file(data, bundle, subject, found["files"][subject])
    if kind == "units":
        return deviate_unit(data, bundle, subject, found["units"][subject])
    if kind == "packages":
        del found["packages"][subject]
        return {subject: ""}
    if kind == "masked":
        found["masked"][subject] = False
        return {subject: ""}
    found["resources"][subject] = ["differs"]
    return {subject.partition("/")[2]: ""}


@FAST
@given(st.data())
def test_one_deviation_is_found_and_nothing_else_is_touched(data: st.DataObject) -> None:
    cloud, host, kind, subject = data.draw(st.sampled_from(PLACES))
    bundles = rendered(cloud)
    facts = {name: FACTS[cloud, name] for name in bundles}
    facts[host] = copy.deepcopy(facts[host])
    expected = deviate(data, bundles[host], facts[host], kind, subject)
    changes = plan(bundles, facts).changes
    assert {change.host for change in changes} <= {host}
    assert {change.subject: change.verb for change in changes} == expected
    if kind == "files" and subject in files_of(bundles[host]):
        assert [change.subject for change in changes].count(subject) == 1, "written more than once"
