"""Undo steps, and the heal plan: what must be done to take a fault back, on disk before the fault is injected.

There is one way to heal. The runner does these steps at the end of a trial, and `stockade drill heal` does the same
ones after a drill that was killed. Each can be repeated, and does no harm where nothing is wrong.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from stockade.cloud.model import Cloud
from stockade.cloud.paths import state_dir
from stockade.errors import HostError, StockadeError, UsageError
from stockade.files import write_whole
from stockade.machines.base import Machines, PowerState

RETURN_S = 300.0
"""A machine that was switched on answers by then, or needs a human."""
POLL_S = 1.0


class Step(StrEnum):
    """What an undo step does."""

    POWER_ON = "power-on"
    THAW = "thaw"
    CONTINUE = "continue"
    """SIGCONT to every process of the unit."""
    START = "start"
    """Unmask the unit and start it."""
    RECONNECT = "reconnect"
    REMOVE_FILE = "remove-file"


@dataclass(frozen=True, slots=True)
class Undo:
    """One step; `subject` is a unit or a path."""

    step: Step
    host: str = ""
    subject: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.step.value, self.host, self.subject) if part)


class HealPlan:
    """The steps that are due. While the file is there, a fault may be in force."""

    def __init__(self, cloud: Cloud) -> None:
        self.path = plan_path(cloud)

    def refuse_if_due(self) -> None:
        """Raises UsageError if steps of another drill are due."""
        if self.path.exists():
            raise UsageError(
                f"a drill was broken off, and its fault may be in force: {self.path}\n  next: stockade drill heal"
            )

    def write(self, steps: Sequence[Undo]) -> None:
        """Put the steps on disk. Raises UsageError if others are due already."""
        self.refuse_if_due()
        write_whole(self.path, json.dumps([asdict(step) for step in steps], indent=1) + "\n", 0o600)

    def read(self) -> tuple[Undo, ...]:
        """The steps that are due; none if there is no plan."""
        if not self.path.exists():
            return ()
        return tuple(
            Undo(Step(each["step"]), each["host"], each["subject"]) for each in json.loads(self.path.read_text())
        )

    def done(self) -> None:
        """Everything was healed and verified."""
        self.path.unlink(missing_ok=True)


def plan_path(cloud: Cloud) -> Path:
    """Where the heal plan of this cloud is."""
    return state_dir(cloud.name) / "drills" / "heal.json"


async def perform(steps: Sequence[Undo], cloud: Cloud, machines: Machines) -> None:
    """Do all of the steps, also when one fails. Raises the failures together, if any."""
    failures: list[Exception] = []
    for step in steps:
        try:
            await _perform(step, cloud, machines)
        except StockadeError as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("not everything was healed; `stockade drill heal` tries again", failures)


async def _perform(undo: Undo, cloud: Cloud, machines: Machines) -> None:
    if undo.step is Step.RECONNECT:
        await machines.switchboard().reconnect()
        return
    host = cloud.host(undo.host)
    if undo.step is Step.THAW:
        await machines.switchboard().thaw(host)
    elif undo.step is Step.POWER_ON:
        bmc = machines.bmc(host)
        if await bmc.power_state() is PowerState.OFF:
            await bmc.set_power(PowerState.ON)
    await _answering(undo.host, cloud, machines)
    script = {
        Step.CONTINUE: f"systemctl kill --signal=SIGCONT --kill-whom=all {shlex.quote(undo.subject)} || true",
        Step.START: f"systemctl unmask --runtime {shlex.quote(undo.subject)} && "
        f"systemctl start --no-block {shlex.quote(undo.subject)}",
        Step.REMOVE_FILE: f"rm -f {shlex.quote(undo.subject)}",
    }.get(undo.step)
    if script:
        done = await machines.transport(host).run(["sh", "-c", script], timeout_s=60)
        if not done.ok:
            raise HostError(undo.host, f"{undo}: {done.stderr.strip()[-300:]}")


async def _answering(name: str, cloud: Cloud, machines: Machines) -> None:
    transport = machines.transport(cloud.host(name))
    deadline = asyncio.get_running_loop().time() + RETURN_S
    while True:
        try:
            await transport.run(["true"], timeout_s=10)
        except StockadeError as error:
            # The session may be from before a power cut.
            await transport.close()
            if asyncio.get_running_loop().time() > deadline:
                raise HostError(
                    name,
                    f"does not answer {RETURN_S:.0f} s after the heal: {error}",
                    next_step=f"stockade power {name} status",
                ) from error
            await asyncio.sleep(POLL_S)
        else:
            return
