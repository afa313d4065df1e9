"""Whole runs of `up` on hosts in memory: they converge from anywhere, and leave no unit with older settings."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from build_world import CLOUDS, Killed, SimHost, World, context, units_of

from stockade.build.model import Start
from stockade.cloud.model import Cloud
from stockade.errors import BuildError

SLOW = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
STRAY = ("tgt", "conntrackd", "libvirtd.socket", "libvirt-guests")


def built(cloud: str = "lab") -> World:
    made = World(context(cloud), stray=STRAY)
    made.up()
    return made


def assert_converged(made: World) -> None:
    assert made.plan().changes == ()
    assert made.stale() == [], "units run with older settings"
    for host in made.hosts.values():
        for name, unit in units_of(made.bundles[host.name]).items():
            if unit.start is Start.BOOT:
                assert host.units[name].active, f"{name} does not run on {host.name}"
        assert all(host.masked.values())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_one_run_builds_it_all_and_the_second_changes_nothing(cloud: str) -> None:
    made = built(cloud)
    assert_converged(made)
    starts = {(host.name, name): unit.starts for host in made.hosts.values() for name, unit in host.units.items()}
    assert set(starts.values()) == {1}, "a first build starts each unit once"
    assert made.up().done == []
    assert made.log == []


@SLOW
@given(st.data())
def test_a_run_killed_anywhere_is_finished_by_the_next(data: st.DataObject) -> None:
    made = World(context("lab"), stray=STRAY)
    for _kill in range(data.draw(st.integers(1, 3))):
        made.kill_after = data.draw(st.integers(0, 900))
        with suppress(BuildError, Killed):
            made.up()
    made.kill_after = None
    made.up()
    assert_converged(made)


@SLOW
@given(st.data())
def test_a_change_of_settings_killed_anywhere_is_finished_by_the_next(data: st.DataObject) -> None:
    made = built()
    service = data.draw(st.sampled_from(["nova", "neutron", "cinder", "keystone", "glance"]))
    made.context = replace(made.context, cloud=with_option(made.cloud, service))
    made.kill_after = data.draw(st.integers(0, 40))
    with suppress(BuildError, Killed):
        made.up(made.context)
    made.kill_after = None
    made.up()
    assert_converged(made)


def with_option(cloud: Cloud, service: str) -> Cloud:
    return replace(cloud, options={service: {"DEFAULT": {"debug": "true"}}})


def drift(dice: random.Random, host: SimHost) -> str:
    """Spoil one thing."""
    match dice.choice(["file", "mode", "lost", "stopped", "disabled", "package", "resource", "stray", "marker"]):
        case "file":
            path = dice.choice([path for path, entry in host.files.items() if entry["type"] == "file"])
            host.files[path]["sha256"] = "drifted"
        case "mode":
            path = dice.choice(list(host.files))
            host.files[path]["mode"] = 0o777
        case "lost":
            path = dice.choice(list(host.files))
            del host.files[path]
        case "stopped":
            path = dice.choice(list(host.units))
            host.units[path].active = False
        case "disabled":
            path = dice.choice(list(host.units))
            host.units[path].enabled = not host.units[path].enabled
        case "package":
            path = dice.choice(sorted(host.packages))
            host.packages.remove(path)
        case "resource":
            path = str(dice.choice([*host.resources, None]))
            host.resources = {key: value for key, value in host.resources.items() if str(key) != path}
        case "marker":
            path = dice.choice(list(host.units))
            host.units[path].marker = ""
        case _:
            path = dice.choice(STRAY)
            if path in host.masked:
                host.masked[path] = False
    return path


@SLOW
@given(st.integers(0, 1 << 30))
def test_thirty_deviations_at_once_are_all_mended_by_one_run(seed: int) -> None:
    made = built()
    dice = random.Random(seed)
    spoilt = [(host := dice.choice(list(made.hosts.values()))).name + " " + drift(dice, host) for _each in range(30)]
    made.up()
    assert made.plan().changes == (), spoilt
    assert made.stale() == [], spoilt


def test_an_option_changed_in_the_cloud_file_restarts_its_readers_only_one_controller_at_a_time() -> None:
    made = built()
    made.up(replace(made.context, cloud=with_option(made.cloud, "glance")))
    assert [line for line in made.log if "start" in line] == [f"ctl{number} restart glance-api" for number in (1, 2, 3)]
    written = {line.split(" ", 1)[1] for line in made.log if " write " in line}
    assert written == {"write /etc/glance/glance-api.conf"}
    assert_converged(made)


def test_a_new_compute_is_added_and_the_others_are_not_restarted() -> None:
    whole = context("lab")
    without = replace(whole.cloud, hosts=whole.cloud.hosts[:-1])
    made = World(whole, stray=STRAY)
    made.context = replace(whole, cloud=without)
    made.up(made.context)
    assert not made.hosts["cmp2"].units
    made.up(whole)
    assert_converged(made)
    others = [line for line in made.log if "start" in line and not line.startswith("cmp2")]
    # /etc/hosts and the addresses of peers are read when they are used.
    assert others == []
