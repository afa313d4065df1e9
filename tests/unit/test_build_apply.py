"""In which order a plan is carried out, and what happens when a part of it fails."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from build_world import World, context, errors_in

from stockade.build.context import Context
from stockade.build.model import Backend, Check, File, Resource, Service, Start, Unit, Where
from stockade.cloud.model import Host, Role
from stockade.errors import BuildError, Unreachable

CONTROLLERS = frozenset({Role.CONTROLLER})


def service(name: str, *after: str, text: str = "1", backend: bool = False, start: Start = Start.BOOT) -> Service:
    """One file, one unit that reads it, one check, something before the start and something after."""

    def files(_context: Context, _host: Host) -> Sequence[File]:
        return [File(f"/etc/{name}", text)]

    def state(when: str) -> Sequence[Resource]:
        return [Resource(f"{name} {when}", name, {}, Where.EACH)]

    return Service(
        name,
        CONTROLLERS,
        after,
        packages=(f"{name}-server",),
        files=files,
        units=(Unit(name, reads=(f"/etc/{name}",), start=start, backend=f"{name}-api" if backend else ""),),
        backends=(Backend(f"{name}-api", 80),) if backend else (),
        before_start=lambda _context, _host: state("before"),
        resources=lambda _context, _host: state("after"),
        health=lambda _context: (Check(f"{name} well", "unit_active", {"units": [name]}),),
    )


BASE, LEFT, RIGHT, TOP = (
    service("base"),
    service("left", "base"),
    service("right", "base"),
    service("top", "left", "right"),
)
ALL = (TOP, RIGHT, LEFT, BASE)
NAMES = ("ctl1", "ctl2", "ctl3")


def world(*services: Service) -> World:
    return World(context("lab", services=services), stray=("tgt",))


def api_world(after_text: str = "2") -> tuple[World, Context]:
    """A built world of one service behind HAProxy, and the same with another setting."""
    made = world(BASE, service("api", "base", backend=True))
    made.up()
    return made, replace(made.context, services=(BASE, service("api", "base", backend=True, text=after_text)))


def about(log: Sequence[str], name: str) -> list[int]:
    """Positions of what was done for the service called `name`."""
    return [index for index, line in enumerate(log) if name in line.replace("/", " ").replace("-", " ").split()]


def test_nothing_to_do_asks_the_hosts_for_nothing() -> None:
    made = world(*ALL)
    made.up()
    asked = {name: len(transport.asked) for name, transport in made.machines.transports.items()}
    assert made.up().done == []
    assert made.log == []
    for name, transport in made.machines.transports.items():
        assert len(transport.asked) == asked[name] + 1, "more than the facts"


def test_a_service_begins_only_when_those_before_it_are_well() -> None:
    made = world(*ALL)
    made.up()
    for later, earlier in (("left", "base"), ("right", "base"), ("top", "left"), ("top", "right")):
        gates = [made.log.index(f"{host} wait {earlier} well") for host in NAMES]
        assert max(gates) < min(about(made.log, later)), f"{later} began before {earlier} was well everywhere"


def test_within_a_service_everything_has_its_place() -> None:
    made = world(BASE)
    made.up()
    order = [
        "install base-server",
        "forget base",
        "write /etc/base",
        "settle base before",
        "start base",
        "remember base",
        "settle base after",
        "wait base well",
    ]
    mine = [line.removeprefix("ctl2 ") for line in made.log if line.startswith("ctl2 ")]
    assert [line for line in mine if not line.startswith("mask")] == order
    assert mine.index("mask tgt") < mine.index("start base"), "a stray daemon could still start"


def test_a_gate_that_fails_stops_what_stands_on_it() -> None:
    made = world(*ALL)
    made.hosts["ctl3"].broken.add("left well")
    with pytest.raises(BuildError) as caught:
        made.up()
    (error,) = errors_in(caught.value)
    assert isinstance(error, BuildError)
    assert error.host == "ctl3"
    assert "left well" in error.what
    assert "stockade up" in error.next_step
    assert not about(made.log, "top")
    made.hosts["ctl3"].broken.clear()
    made.up()
    assert not made.plan().changes


def test_what_the_changed_services_stand_on_is_proven_first() -> None:
    """A run killed before a gate left that service unproven."""
    made = world(*ALL)
    made.up()
    made.hosts["ctl2"].units["top"].active = False
    made.up()
    waits = [line for line in made.log if " wait " in line]
    for name in ("base", "left", "right"):
        for host in NAMES:
            assert f"{host} wait {name} well" in waits
    assert [line for line in made.log if "wait" not in line] == ["ctl2 start top", "ctl2 remember top"]
    assert made.log.index("ctl2 start top") > made.log.index("ctl1 wait left well")


def test_services_that_nothing_changed_stands_on_are_left_alone() -> None:
    made = world(*ALL)
    made.up()
    made.hosts["ctl1"].units["left"].active = False
    made.up()
    assert not about(made.log, "right")
    assert not about(made.log, "top")


def test_a_restart_goes_host_by_host_each_on_a_healthy_rest() -> None:
    made, changed = api_world()
    assert made.up(changed).restarts == 3
    restarts = [made.log.index(f"{host} restart api") for host in NAMES]
    assert restarts == sorted(restarts)
    for before, after in pairwise(restarts):
        between = made.log[before:after]
        for host in NAMES:
            assert f"{host} wait api well" in between, "went on before all were well again"


def quorum_world(text: str) -> Context:
    member = replace(
        service("member", "base", text=text), quorum=True, may_stop=lambda _context: (Check("may stop", "asked"),)
    )
    return context("lab", services=(BASE, member))


def test_a_member_is_asked_whether_it_may_go_before_anything_of_it_changes() -> None:
    made = World(quorum_world("1"))
    made.up()
    made.log.clear()
    made.up(quorum_world("2"))
    for name in NAMES:
        mine = [line for line in made.log if line.startswith(f"{name} ")]
        assert mine.index(f"{name} wait may stop") < mine.index(f"{name} forget member")
    restarts = [line for line in made.log if " restart " in line]
    assert restarts == [f"{name} restart member" for name in NAMES]


def test_a_member_that_may_not_go_stays_as_it_is() -> None:
    made = World(quorum_world("1"))
    made.up()
    made.log.clear()
    made.hosts["ctl1"].broken.add("may stop")
    with pytest.raises(BuildError, match="may stop did not become healthy"):
        made.up(quorum_world("2"))
    assert not [line for line in made.log if " write " in line or " restart " in line or " forget " in line]


def test_a_server_is_drained_on_every_haproxy_before_its_restart_and_put_back_after() -> None:
    made, changed = api_world()
    made.up(changed)
    for server in NAMES:
        restart = made.log.index(f"{server} restart api")
        for proxy in NAMES:
            assert made.log.index(f"{proxy} drain {server} api-api") < restart
            assert made.log.index(f"{proxy} undrain {server} api-api") > restart
        ready = made.log.index(f"{server} wait api-api on {server}")
        assert restart < ready < made.log.index(f"ctl1 undrain {server} api-api"), "put back before it answers"


def test_a_first_start_drains_nothing() -> None:
    made = world(BASE, service("api", "base", backend=True))
    made.up()
    assert not [line for line in made.log if "drain" in line]


def test_a_server_is_put_back_even_if_its_restart_fails() -> None:
    made, changed = api_world()
    made.hosts["ctl2"].broken.add("api")
    with pytest.raises(BuildError):
        made.up(changed)
    for proxy in NAMES:
        assert f"{proxy} undrain ctl2 api-api" in made.log
    assert "ctl3 restart api" not in made.log, "went on to the next host"


def test_a_service_that_works_nowhere_is_not_waited_for_before_the_change_that_may_mend_it() -> None:
    made, changed = api_world()
    for name in NAMES:
        made.hosts[name].broken.add("api well")
    with pytest.raises(BuildError):
        made.up(changed)
    assert [host for host in NAMES if f"{host} restart api" in made.log] == list(NAMES)
    assert not [line for line in made.log if " drain " in line]


def test_a_server_is_put_back_even_if_draining_it_fails_on_one_haproxy() -> None:
    made, changed = api_world()
    made.hosts["ctl3"].broken.add("haproxy")
    with pytest.raises(BuildError):
        made.up(changed)
    assert "ctl1 restart api" not in made.log, "restarted under its users"
    for proxy in NAMES:
        assert f"{proxy} undrain ctl1 api-api" in made.log


def test_hosts_where_nothing_runs_yet_come_before_those_that_are_interrupted() -> None:
    made, changed = api_world()
    made.hosts["ctl3"].units["api"].active = False
    made.up(changed)
    assert made.log.index("ctl3 start api") < made.log.index("ctl1 restart api")
    assert not [line for line in made.log if "drain ctl3" in line]


def test_only_units_that_read_the_changed_file_restart() -> None:
    made = world(*ALL)
    made.up()
    made.up(replace(made.context, services=(BASE, LEFT, service("right", "base", text="new"), TOP)))
    assert {line.split(" ", 1)[1] for line in made.log if "restart" in line} == {"restart right"}


def test_units_of_the_agent_are_never_started_by_the_build() -> None:
    made = world(BASE, service("guest", "base", start=Start.AGENT))
    made.up()
    assert not [line for line in made.log if line.endswith(" start guest") and "agent" not in line]
    for name in NAMES:
        assert made.log.index(f"{name} remember guest") < made.log.index(f"{name} agent starts guest")
        assert not made.hosts[name].units["guest"].enabled
    assert not made.plan().changes


def test_a_marker_goes_before_its_file_is_written() -> None:
    """Killed between the two, the unit must count as one that has not read the file."""
    made, changed = api_world()
    made.up(changed)
    for name in NAMES:
        assert made.log.index(f"{name} forget api") < made.log.index(f"{name} write /etc/api")


def test_a_host_that_cannot_be_reached_fails_by_name() -> None:
    made = world(BASE)
    made.machines.transports["ctl2"].reachable = False
    with pytest.raises(Unreachable, match="ctl2"):
        made.up()
