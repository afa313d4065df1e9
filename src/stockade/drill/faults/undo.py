"""Undo steps, and the heal plan: what must be done to take a fault back, on disk before the fault is injected.

There is one way to heal. The runner does these steps at the end of a trial, and `stockade drill heal` does the same
ones after a drill that was killed. Each can be repeated, and does no harm where nothing is wrong.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Sequence
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
    REMOVE_FILES = "remove-files"
    """Everything whose path begins with the subject."""
    ROUTER_LINK = "router-link"
    """The link over which a router's instances elect: up. The subject is the router."""


CABLES = frozenset({Step.RECONNECT, Step.THAW})
"""Steps of the switchboard."""
SCRIPTS = {
    Step.CONTINUE: "systemctl kill --signal=SIGCONT --kill-whom=all {subject}; "
    'group=$(systemctl show -P ControlGroup {subject}); [ -n "$group" ] || exit 0; '
    "for pid in $(cat /sys/fs/cgroup$group/cgroup.procs); do "
    "case $(sed 's/.*) //' /proc/$pid/stat 2>/dev/null) in T*) echo $pid is still stopped; exit 1;; esac; done",
    Step.START: "systemctl unmask --quiet --runtime {subject} && systemctl start {subject} && "
    "systemctl is-active --quiet {subject}",
    Step.REMOVE_FILES: "rm -f {subject}*",
    Step.ROUTER_LINK: "inside='ip netns exec qrouter-'{subject}; "
    "[ -e /run/netns/qrouter-{subject} ] || exit 0; "
    "for link in $($inside ip -oneline link show | grep -o 'ha-[^@:]*'); do "
    "$inside ip link set $link up || exit 1; done",
}
"""What the host itself does; it fails if the effect is not to be seen."""
START_S = 200.0
"""MariaDB and RabbitMQ rejoin their clusters while they start."""


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
    """Do all of the steps, also when some fail, and see that each took effect. Raises the failures together, if any."""
    # Cables first, then power through them, and all of it before anyone is waited for: the rest needs shells.
    failures = await _each(_change, [step for step in steps if step.step in CABLES], cloud, machines)
    failures += await _each(_change, [step for step in steps if step.step is Step.POWER_ON], cloud, machines)
    failures += await _each(_inside, [step for step in steps if step.step is not Step.RECONNECT], cloud, machines)
    if failures:
        raise ExceptionGroup("not everything was healed; `stockade drill heal` tries again", failures)


async def _each(
    do: Callable[[Undo, Cloud, Machines], Awaitable[None]], steps: Sequence[Undo], cloud: Cloud, machines: Machines
) -> list[Exception]:
    ended = await asyncio.gather(*(do(step, cloud, machines) for step in steps), return_exceptions=True)
    return [each for each in ended if isinstance(each, Exception)]


async def _change(undo: Undo, cloud: Cloud, machines: Machines) -> None:
    if undo.step is Step.RECONNECT:
        await machines.switchboard().reconnect()
    elif undo.step is Step.THAW:
        await machines.switchboard().thaw(cloud.host(undo.host))
    else:
        await _power_on(undo.host, cloud, machines)


async def _power_on(name: str, cloud: Cloud, machines: Machines) -> None:
    bmc = machines.bmc(cloud.host(name))
    if await bmc.power_state() is PowerState.OFF:
        await bmc.set_power(PowerState.ON)


async def _inside(undo: Undo, cloud: Cloud, machines: Machines) -> None:
    """Wait for the host's shell, and let it do its part."""
    await _answering(undo, cloud, machines)
    script = SCRIPTS.get(undo.step)
    if script:
        text = script.format(subject=shlex.quote(undo.subject))
        done = await machines.transport(cloud.host(undo.host)).run(["sh", "-c", text], timeout_s=START_S)
        if not done.ok:
            raise HostError(undo.host, f"{undo}: {(done.stderr or done.stdout).strip()[-300:]}")


async def _answering(undo: Undo, cloud: Cloud, machines: Machines) -> None:
    """Return when the host's shell answers and it is not on its way down.

    Its power is looked at again each time: a shutdown that was asked for before may end only now.
    """
    transport = machines.transport(cloud.host(undo.host))
    deadline = asyncio.get_running_loop().time() + RETURN_S
    while True:
        try:
            state = await transport.run(["systemctl", "is-system-running"], timeout_s=10)
            if state.stdout.strip() != "stopping":
                return
            why = "it is shutting down"
        except StockadeError as error:
            # The session may be from before a power cut.
            await transport.close()
            why = str(error)
            if undo.step is Step.POWER_ON:
                await _power_on(undo.host, cloud, machines)
        if asyncio.get_running_loop().time() > deadline:
            what = f"does not answer {RETURN_S:.0f} s after the heal: {why}"
            raise HostError(undo.host, what, next_step=f"stockade power {undo.host} status")
        await asyncio.sleep(POLL_S)
