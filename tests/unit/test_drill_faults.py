"""Faults: the way back is on disk before, the effect is seen from outside, and healing twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from stockade.cloud import paths
from stockade.cloud.load import lab_example, load
from stockade.cloud.model import Plane
from stockade.drill import scenario
from stockade.drill.catalogue import find, shipped
from stockade.drill.faults import base
from stockade.drill.faults.base import NotConfirmed
from stockade.drill.faults.kinds import package
from stockade.drill.faults.undo import HealPlan, Step, Undo, perform
from stockade.drill.scene import Scene, Things
from stockade.errors import UsageError
from stockade.machines.base import Completed, PowerState
from stockade.machines.fake import FakeMachines

THINGS = Things("router", "server", "volume", "10.77.3.100", {})


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    monkeypatch.setattr(base, "POLL_S", 0.001)
    cloud = load(lab_example())
    return Scene(cloud, FakeMachines(cloud), THINGS, lambda: ["1-00001"])


def machines_of(scene: Scene) -> FakeMachines:
    assert isinstance(scene.machines, FakeMachines)
    return scene.machines


def test_a_power_cut_is_confirmed_by_the_bmc_and_by_silence_and_healed_by_its_undo_steps(scene: Scene) -> None:
    machines = machines_of(scene)
    fault = package(scenario.PowerCut(kind="power-cut"), scene, ["ctl1"])

    async def work() -> None:
        await fault.inject()
        machines.transports["ctl1"].reachable = False
        assert "says Off" in await fault.confirm()
        assert machines.bmcs["ctl1"].state is PowerState.OFF
        machines.transports["ctl1"].reachable = True
        await perform(fault.undo, scene.cloud, machines)
        await perform(fault.undo, scene.cloud, machines)
        assert "says On" in await fault.verify()

    asyncio.run(work())
    assert machines.bmcs["ctl1"].asked == [PowerState.OFF, PowerState.ON]


def test_a_power_cut_that_leaves_the_shell_answering_is_not_confirmed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A BMC that lies: the command was accepted, it even says Off, and nothing happened."""
    monkeypatch.setattr(base.seen, "__defaults__", (0.05, 0.01))
    fault = package(scenario.PowerCut(kind="power-cut"), scene, ["ctl1"])

    async def work() -> None:
        await fault.inject()
        await fault.confirm()

    with pytest.raises(NotConfirmed, match="power off"):
        asyncio.run(work())


def answering(states: str) -> object:
    def answer(argv: Sequence[str], _stdin: str) -> Completed:
        return Completed(0, states if "cgroup.procs" in argv[-1] else "", "")

    return answer


def test_a_frozen_unit_is_confirmed_process_by_process(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.seen, "__defaults__", (0.05, 0.01))
    transport = machines_of(scene).transports["ctl2"]
    fault = package(scenario.UnitFrozen(kind="unit-frozen", unit="keystone"), scene, ["ctl2"])
    assert fault.undo == (Undo(Step.CONTINUE, "ctl2", "keystone"),)
    transport.answer = answering("T\nT\nT\n")  # type: ignore[assignment]
    assert "3 processes of keystone" in asyncio.run(fault.confirm())
    for states in ("T\nS\nT\n", ""):
        transport.answer = answering(states)  # type: ignore[assignment]
        with pytest.raises(NotConfirmed):
            asyncio.run(fault.confirm())
    transport.answer = answering("S\nR\n")  # type: ignore[assignment]
    assert "running" in asyncio.run(fault.verify())


def test_a_cut_network_is_taken_back_whole(scene: Scene) -> None:
    machines = machines_of(scene)
    planes = (Plane.MANAGEMENT, Plane.STORAGE)
    fault = package(scenario.NetworkCut(kind="network-cut", planes=planes, how="unplug"), scene, ["ctl1"])
    asyncio.run(fault.inject())
    assert machines.board.in_force == ["unplug ctl1 management", "unplug ctl1 storage"]
    asyncio.run(perform(fault.undo, scene.cloud, machines))
    assert machines.board.in_force == []


def test_a_row_is_only_deleted_if_it_was_acknowledged(scene: Scene) -> None:
    machines = machines_of(scene)
    machines.transports["ctl1"].answer = lambda _argv, stdin: Completed(0, "0\n" if "SELECT" in stdin else "", "")
    fault = package(scenario.RowDeleted(kind="row-deleted"), scene, [])
    asyncio.run(fault.inject())
    assert "1-00001" in machines.transports["ctl1"].asked[-1][1]
    assert "is gone" in asyncio.run(fault.confirm())


def test_a_heal_plan_is_on_disk_until_it_is_done_and_keeps_a_second_drill_away(scene: Scene) -> None:
    plan = HealPlan(scene.cloud)
    steps = (Undo(Step.POWER_ON, "ctl1"), Undo(Step.RECONNECT), Undo(Step.START, "ctl2", "mariadb"))
    plan.write(steps)
    assert plan.path.stat().st_mode & 0o777 == 0o600
    assert HealPlan(scene.cloud).read() == steps
    with pytest.raises(UsageError, match="stockade drill heal"):
        plan.write(steps)
    with pytest.raises(UsageError, match="stockade drill heal"):
        plan.refuse_if_due()
    plan.done()
    plan.done()
    assert plan.read() == ()


def test_one_step_that_fails_does_not_keep_the_others_from_healing(scene: Scene) -> None:
    machines = machines_of(scene)
    machines.bmcs["ctl1"].broken = "wrong password"
    machines.bmcs["ctl2"].state = PowerState.OFF
    steps = (Undo(Step.POWER_ON, "ctl1"), Undo(Step.POWER_ON, "ctl2"))
    with pytest.raises(ExceptionGroup, match="stockade drill heal"):
        asyncio.run(perform(steps, scene.cloud, machines))
    assert machines.bmcs["ctl2"].state is PowerState.ON


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_can_be_aimed_and_taken_back(name: str, scene: Scene) -> None:
    wanted = find(name)
    fault = package(wanted.fault, scene, ["cmp1" if name.startswith(("compute", "fence", "host")) else "ctl1"])
    harmless = {"none", "probes-dropped", "row-deleted", "unit-killed"}
    assert fault.undo or wanted.fault.kind in harmless
    assert wanted.why
    assert wanted.title


def test_there_are_the_twelve_and_the_controls() -> None:
    assert len([each for each in shipped().values() if each.needs_guard]) >= 4
    assert {"null", "probes-dropped-1", "probes-dropped-5", "probes-dropped-30", "acknowledged-lost"} <= set(shipped())
    assert shipped()["controller-power-cut"].trials == 20
    assert shipped()["acknowledged-lost"].expect.violates == "S1"


def test_an_unknown_drill_is_answered_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="controller-power-cut"):
        find("controler-power-cut")
