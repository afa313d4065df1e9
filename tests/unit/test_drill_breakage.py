"""Whatever goes wrong between arm and healed: the undo steps are done, or still on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stockade.cloud import paths
from stockade.cloud.load import lab_example, load
from stockade.drill.breakage import break_and_heal
from stockade.drill.faults.base import NotConfirmed
from stockade.drill.faults.undo import HealPlan, Step, Undo
from stockade.drill.history import Kind
from stockade.drill.scenario import Scenario, parse
from stockade.errors import HostError

STEPS = (Undo(Step.POWER_ON, "ctl1"),)
CUT = {"name": "cut", "title": "A cut", "why": "to test", "target": "vip-holder", "fault": {"kind": "power-cut"},
       "hold_s": 0.05}  # fmt: skip


class Log:
    """Events and calls, in order."""

    def __init__(self, plan: HealPlan) -> None:
        self.steps: list[str] = []
        self.plan = plan
        self.full = False

    def write(self, _kind: Kind, f: str, **_fields: Any) -> None:
        if self.full and f in ("heal", "healed", "gave-up"):
            raise OSError(28, "No space left on device")
        self.steps.append(f)


class Fault:
    """A fault that fails, or waits, where it is told to."""

    undo = STEPS

    def __init__(self, log: Log, fails: str = "", error: Exception | None = None) -> None:
        self.log, self.fails, self.error = log, fails, error or HostError("ctl1", "no answer")

    async def _do(self, what: str) -> str:
        assert what == "verify" or self.log.plan.read() == STEPS, "not on disk before"
        self.log.steps.append(f"do {what}")
        if what == self.fails:
            raise self.error
        await asyncio.sleep(0)
        return "seen"

    async def inject(self) -> None:
        await self._do("inject")

    async def confirm(self) -> str:
        return await self._do("confirm")

    async def verify(self) -> str:
        return await self._do("verify")

    async def over(self) -> bool:
        return False


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HealPlan:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    return HealPlan(load(lab_example()))


def scenario() -> Scenario:
    return parse(CUT, "the test's scenario")


def run(log: Log, fault: Fault, *, during: Callable[[asyncio.Task[str], str], None] | None = None) -> str:
    """Run it; `during` may cancel it whenever it holds or heals."""

    async def work() -> str:
        async def hold(seconds: float) -> None:
            if during:
                during(task, "hold")
            await asyncio.sleep(seconds)

        async def undo() -> None:
            for _ in range(3):
                log.steps.append("do undo")
                if during:
                    during(task, "undo")
                await asyncio.sleep(0.01)

        task: asyncio.Task[str] = asyncio.ensure_future(
            break_and_heal(fault, scenario(), log, log.plan, hold, undo)
        )  # fmt: skip
        return await task

    return asyncio.run(work())


def test_the_way_back_is_on_disk_before_and_until_it_was_seen_to_work(plan: HealPlan) -> None:
    log = Log(plan)
    assert run(log, Fault(log)) == ""
    assert log.steps == [
        "arm", "inject", "do inject", "do confirm", "confirmed", "do confirm", "still", "heal",
        "do undo", "do undo", "do undo", "do verify", "healed",
    ]  # fmt: skip
    assert plan.read() == ()


@pytest.mark.parametrize("fails", ["inject", "confirm"])
def test_what_fails_before_is_healed_and_told(plan: HealPlan, fails: str) -> None:
    log = Log(plan)
    assert "no answer" in run(log, Fault(log, fails))
    assert log.steps[-5:] == ["do undo", "do undo", "do undo", "do verify", "healed"]
    assert "confirmed" not in log.steps
    assert plan.read() == ()


def test_a_fault_that_is_not_to_be_seen_is_healed_and_given_up(plan: HealPlan) -> None:
    log = Log(plan)
    assert run(log, Fault(log, "confirm", NotConfirmed("not seen"))) == ""
    assert "gave-up" in log.steps
    assert plan.read() == ()


def test_a_heal_that_cannot_be_seen_keeps_the_plan(plan: HealPlan) -> None:
    log = Log(plan)
    assert "stockade drill heal" in run(log, Fault(log, "verify", NotConfirmed("still silent")))
    assert plan.read() == STEPS


@pytest.mark.parametrize("where", [{"hold"}, {"undo"}, {"hold", "undo"}])
def test_however_often_it_is_interrupted_it_heals_first(plan: HealPlan, where: set[str]) -> None:
    log = Log(plan)

    def interrupt(task: asyncio.Task[str], what: str) -> None:
        if what in where:
            asyncio.get_running_loop().call_soon(task.cancel)

    with pytest.raises(asyncio.CancelledError):
        run(log, Fault(log), during=interrupt)
    assert log.steps.count("do undo") == 3
    assert log.steps[-2:] == ["do verify", "healed"]
    assert plan.read() == ()


def test_a_full_disk_here_does_not_keep_it_from_healing(plan: HealPlan) -> None:
    log = Log(plan)
    log.full = True
    assert run(log, Fault(log)) == ""
    assert log.steps.count("do undo") == 3
    assert plan.read() == ()


def test_nothing_is_injected_over_another_drills_plan(plan: HealPlan) -> None:
    plan.write(STEPS)
    log = Log(plan)
    with pytest.raises(Exception, match="stockade drill heal"):
        run(log, Fault(log))
    assert log.steps == []
    assert plan.read() == STEPS
