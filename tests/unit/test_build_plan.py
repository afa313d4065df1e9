"""The plan is the difference of a bundle and facts: each kind of difference by hand."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from build_world import CLOUDS, perfect, rendered

from stockade.build.model import Bundle, Directory, File, Resource, Stage, Start, Unit, Where
from stockade.build.plan import Change, facts_request, marker, plan, resource_key

SETTINGS = File("/etc/web.conf", "port = 80\n", "root", "web", 0o640)
CERTIFICATE = File("/etc/web.pem", "pem\n")
SHARED = File("/etc/shared.conf", "shared\n")
HOME = Directory("/var/lib/web", "web", "web", 0o750)
ACCOUNT = Resource("account", "database", {"name": "web"}, Where.ONE)
CATALOG = Resource("catalog entry", "identity", {"name": "web"}, Where.ONE)
WEB = Unit("web", reads=(SETTINGS.path, SHARED.path), reloads=(CERTIFICATE.path,))
ONCE = Unit("web-once", reads=(SETTINGS.path,), oneshot=True)
GUEST = Unit("guest", reads=(SHARED.path,), start=Start.AGENT)


def stage(service: str, *units: Unit, files: tuple[File, ...] = (), **more: Any) -> Stage:
    empty: dict[str, Any] = dict.fromkeys(("packages", "directories", "before_start", "resources", "checks"), ())
    return Stage(service=service, host="h", files=files, units=units, **(empty | more))


BASE = stage("base", files=(SHARED,))
SITE = stage(
    "site",
    WEB,
    ONCE,
    files=(SETTINGS, CERTIFICATE, SHARED),
    packages=("web-server",),
    directories=(HOME,),
    before_start=(ACCOUNT,),
    resources=(CATALOG,),
)
VMS = stage("vms", GUEST)
BUNDLE = Bundle("h", (BASE, SITE, VMS), ("tgt",))


def facts(**deviations: Any) -> dict[str, Any]:
    """Facts that equal the bundle but for `deviations`, whose names are like `units__web__active`."""
    found = copy.deepcopy(perfect(BUNDLE))
    for path, value in deviations.items():
        *parents, last = path.split("__")
        place = found
        for name in parents:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return found


def with_file(path: str, **entry: Any) -> dict[str, Any]:
    """Facts in which one file deviates; without `entry` it is missing."""
    found = facts()
    found["files"][path] = found["files"][path] | entry if entry else None
    return found


def said(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(service, subject, sentence, verb) of each change."""
    changes = plan({"h": BUNDLE}, {"h": found}).changes
    assert all(change.host == "h" for change in changes)
    return [(each.service, each.subject, each.sentence, each.verb) for each in changes]


RESTART = "runs with older settings"


def test_no_difference_no_change() -> None:
    assert said(facts()) == []


def test_missing_package() -> None:
    assert said(facts(packages={})) == [("site", "web-server", "package web-server is not installed", "")]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, "is missing"),
        ({"mode": 0o644}, "has mode 0644, not 0640"),
        ({"owner": "nobody"}, "belongs to nobody:web, not root:web"),
        ({"group": "root"}, "belongs to root:root, not root:web"),
        ({"sha256": "0" * 64}, "has other content"),
        ({"type": "other"}, "is not a file"),
    ],
)
def test_a_deviating_file_is_written_and_its_readers_restart(entry: dict[str, Any], sentence: str) -> None:
    assert said(with_file(SETTINGS.path, **entry)) == [
        ("site", SETTINGS.path, f"{SETTINGS.path} {sentence}", ""),
        ("site", "web", f"web {RESTART}", "restart"),
        ("site", "web-once", "web-once has not been applied", "apply"),
    ]


def test_a_file_that_needs_a_reload_only_gets_one() -> None:
    assert said(with_file(CERTIFICATE.path, sha256="")) == [
        ("site", CERTIFICATE.path, f"{CERTIFICATE.path} has other content", ""),
        ("site", "web", "web must read its settings again", "reload"),
    ]


def test_a_reload_is_not_enough_for_a_unit_we_never_started() -> None:
    found = with_file(CERTIFICATE.path, sha256="")
    found["units"]["web"]["marker"] = ""
    assert ("site", "web", f"web {RESTART}", "restart") in said(found)


def test_a_reload_is_not_enough_if_it_must_restart_too() -> None:
    found = with_file(CERTIFICATE.path, sha256="")
    found["files"][SETTINGS.path]["sha256"] = ""
    assert ("site", "web", f"web {RESTART}", "restart") in said(found)


def test_a_file_of_several_services_is_written_once_and_restarts_readers_everywhere() -> None:
    assert said(with_file(SHARED.path, sha256="")) == [
        ("base", SHARED.path, f"{SHARED.path} has other content", ""),
        ("site", "web", f"web {RESTART}", "restart"),
        ("vms", "guest", f"guest {RESTART}", "restart"),
    ]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({}, "is missing"),
        ({"mode": 0o777}, "has mode 0777, not 0750"),
        ({"owner": "root"}, "belongs to root:web, not web:web"),
        ({"type": "file"}, "is not a directory"),
    ],
)
def test_a_deviating_directory_restarts_nothing(entry: dict[str, Any], sentence: str) -> None:
    assert said(with_file(HOME.path, **entry)) == [("site", HOME.path, f"{HOME.path} {sentence}", "")]


def test_a_stray_unit_is_masked_first() -> None:
    found = facts(masked__tgt=False, units__web__active="inactive")
    assert said(found) == [
        ("base", "tgt", "tgt must never run here", ""),
        ("site", "web", "web does not run", "start"),
    ]


def test_a_stray_unit_that_the_host_does_not_have_is_no_difference() -> None:
    assert said(facts(masked__tgt=None)) == []


@pytest.mark.parametrize("key", ["site/account", "site/catalog entry"])
def test_a_resource_says_what_is_wrong_line_by_line(key: str) -> None:
    found = facts()
    found["resources"][key] = ["user web is missing", "role admin is missing"]
    name = key.partition("/")[2]
    assert [(subject, sentence) for _, subject, sentence, _ in said(found)] == [
        (name, f"{name}: user web is missing"),
        (name, f"{name}: role admin is missing"),
    ]


@pytest.mark.parametrize(
    ("state", "verb", "sentence"),
    [
        ({"active": "inactive"}, "start", "does not run"),
        ({"active": "failed"}, "start", "does not run"),
        ({"active": "activating", "sub": "auto-restart"}, "start", "does not run"),
        ({"marker": ""}, "restart", RESTART),
        ({"marker": "of yesterday"}, "restart", RESTART),
        ({"enabled": "disabled"}, "", "does not start at boot"),
        ({"enabled": "disabled", "marker": ""}, "restart", RESTART),
    ],
)
def test_a_unit(state: dict[str, str], verb: str, sentence: str) -> None:
    found = facts()
    found["units"]["web"] |= state
    assert said(found) == [("site", "web", f"web {sentence}", verb)]


@pytest.mark.parametrize("state", [{"active": "activating"}, {"active": "reloading"}, {"enabled": "enabled-runtime"}])
def test_a_unit_on_its_way_is_left_alone(state: dict[str, str]) -> None:
    found = facts()
    found["units"]["web"] |= state
    assert said(found) == []


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ({"active": "inactive"}, False),
        ({"active": "active", "sub": "exited"}, False),
        ({"marker": ""}, True),
        ({"enabled": "disabled"}, True),
    ],
)
def test_a_one_shot_need_not_run_but_must_have_been_applied(state: dict[str, str], changes: bool) -> None:  # noqa: FBT001
    found = facts()
    found["units"]["web-once"] |= state
    expected = [("site", "web-once", "web-once has not been applied", "apply")]
    assert said(found) == (expected if changes else [])


class TestUnitsOfTheAgent:
    """The build never starts them and never lets them start at boot: that is a grant (safety rule 6)."""

    @pytest.mark.parametrize(
        ("state", "verb", "sentence"),
        [
            ({"active": "inactive", "marker": ""}, "try-restart", "does not run yet"),
            ({"active": "failed", "marker": "older"}, "try-restart", "does not run yet"),
            ({"enabled": "enabled"}, "", "starts at boot, without a grant"),
            ({"active": "inactive", "enabled": "enabled"}, "", "starts at boot, without a grant"),
            ({"marker": ""}, "restart", RESTART),
            # Taking it from boot alone would leave its marker, and it would run with older settings for ever.
            ({"marker": "", "enabled": "enabled"}, "restart", RESTART),
        ],
    )
    def test_states(self, state: dict[str, str], verb: str, sentence: str) -> None:
        found = facts()
        found["units"]["guest"] |= state
        assert said(found) == [("vms", "guest", f"guest {sentence}", verb)]

    def test_down_with_its_settings_in_place_it_is_the_agents_business(self) -> None:
        assert said(facts(units__guest__active="inactive")) == []

    def test_down_while_its_settings_are_rewritten_it_gets_its_marker_back(self) -> None:
        """Rewriting takes the marker away, and without one the agent would never start it again."""
        found = with_file(SHARED.path, sha256="")
        found["units"]["guest"]["active"] = "inactive"
        assert ("vms", "guest", "guest does not run yet", "try-restart") in said(found)

    @pytest.mark.parametrize("active", ["active", "inactive", "failed", "activating"])
    @pytest.mark.parametrize("enabled", ["enabled", "disabled", "masked", ""])
    @pytest.mark.parametrize("marked", [True, False])
    def test_no_facts_make_the_build_start_one(self, active: str, enabled: str, marked: bool) -> None:  # noqa: FBT001
        found = facts()
        found["units"]["guest"] |= {"active": active, "enabled": enabled}
        if not marked:
            found["units"]["guest"]["marker"] = ""
        verbs = {verb for _, subject, _, verb in said(found) if subject == "guest"}
        assert verbs <= {"active": {"", "restart"}, "activating": {"", "revive"}}.get(active, {"", "try-restart"})


def test_an_empty_host_gets_everything_in_an_order_that_works() -> None:
    empty = {"files": {}, "units": {}, "masked": {}, "packages": {}}
    lines = {"resources": {resource_key(SITE, each): ["is missing"] for each in (ACCOUNT, CATALOG)}}
    kinds = [change.kind for change in plan({"h": BUNDLE}, {"h": empty | lines}).changes if change.service == "site"]
    assert kinds == ["package", "directory", "file", "file", "resource", "unit", "unit", "resource"]


def test_each_host_is_compared_with_its_own_facts() -> None:
    other = replace(BUNDLE, host="i")
    changes = plan({"h": BUNDLE, "i": other}, {"h": facts(), "i": facts(packages={})}).changes
    assert changes == (Change("i", "site", "package", "web-server", "package web-server is not installed"),)


def test_what_is_asked_is_what_is_compared() -> None:
    request = facts_request(BUNDLE)
    found = perfect(BUNDLE)
    assert set(request["files"]) == set(found["files"])
    assert set(request["units"]) == set(found["units"])
    assert set(request["packages"]) == set(found["packages"])
    assert set(request["masked"]) == set(found["masked"])
    assert [each["key"] for each in request["resources"]] == list(found["resources"])


class TestMarker:
    """The marker stands for the content of everything a unit has read."""

    KNOWN: Mapping[str, File] = {file.path: file for file in (SETTINGS, CERTIFICATE, SHARED)}

    @pytest.mark.parametrize("path", [*WEB.reads, *WEB.reloads])
    def test_depends_on_every_file_read(self, path: str) -> None:
        changed = {**self.KNOWN, path: replace(self.KNOWN[path], content="other")}
        assert marker(WEB, changed) != marker(WEB, self.KNOWN)

    def test_depends_on_which_file_has_which_content(self) -> None:
        unit = Unit("u", reads=("/a", "/b"))
        one, two = File("/a", "1"), File("/b", "2")
        swapped = {"/a": replace(one, content="2"), "/b": replace(two, content="1")}
        assert marker(unit, {"/a": one, "/b": two}) != marker(unit, swapped)

    def test_depends_on_nothing_else(self) -> None:
        changed = {**self.KNOWN, "/etc/other": File("/etc/other", "x")}
        changed[SETTINGS.path] = replace(SETTINGS, mode=0o600)
        assert marker(WEB, changed) == marker(WEB, self.KNOWN)

    @pytest.mark.parametrize("cloud", CLOUDS)
    def test_every_unit_of_the_clouds_has_one_of_its_own_files(self, cloud: str) -> None:
        """A path that nothing writes would be left out of the marker without a word."""
        without = {"openvswitch-switch", "ceph-mon.target", "ceph-mgr.target", "ceph-osd.target"}
        for bundle in rendered(cloud).values():
            paths = {file.path for each in bundle.stages for file in each.files}
            for each in bundle.stages:
                for unit in each.units:
                    assert {*unit.reads, *unit.reloads} <= paths, unit.name
                    assert unit.reads or unit.name in without, unit.name


def test_apis_begin_anew_when_their_user_was_deleted() -> None:
    """Keystone answers the old user's token with 404, which the API would take for a fault of its callers."""
    bundles = rendered("lab")
    found = {host: perfect(bundle) for host, bundle in bundles.items()}
    found["ctl1"]["resources"]["nova/identity of nova"] = ["user nova is missing"]
    restarts = {(each.host, each.subject) for each in plan(bundles, found).changes if each.verb == "restart"}
    apis = {"nova-api", "nova-api-metadata", "nova-novncproxy"}
    assert restarts == {(host, unit) for host in ("ctl1", "ctl2", "ctl3") for unit in apis}
    found["ctl2"]["units"]["nova-api"]["active"] = "failed"
    verbs = {(each.host, each.verb) for each in plan(bundles, found).changes if each.subject == "nova-api"}
    assert verbs == {("ctl1", "restart"), ("ctl2", "start"), ("ctl3", "restart")}
