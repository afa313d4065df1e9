"""Whole machines: power cut, frozen, rebooted, shut down."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.drill.faults.base import Endless, seen
from stockade.drill.faults.undo import Step, Undo
from stockade.drill.scene import Scene
from stockade.errors import HostError, StockadeError
from stockade.machines.base import PowerState
from stockade.machines.common import gather_all

DOWN_S = 120.0
"""systemd gives a unit 90 s to stop."""
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class PowerCut(Endless):
    """Power off through the BMC of each host, at once."""

    def __init__(self, scene: Scene, hosts: Sequence[str]) -> None:
        self._scene, self._hosts = scene, hosts
        # Asked for now: a host without a BMC must be known before anything is on disk.
        self._bmcs = [scene.machines.bmc(scene.cloud.host(host)) for host in hosts]
        self.undo = tuple(Undo(Step.POWER_ON, host) for host in hosts)

    async def inject(self) -> None:
        """Cut it."""
        await gather_all(bmc.set_power(PowerState.OFF) for bmc in self._bmcs)

    async def confirm(self) -> str:
        """The BMC reads back Off, and no shell answers."""
        return await seen("power off, and no answer", self._off)

    async def verify(self) -> str:
        """The BMC reads back On, and the shell answers."""
        return await seen("power on, and an answer", self._on)

    async def _off(self) -> str | None:
        for host in self._hosts:
            if await self._scene.machines.bmc(self._scene.cloud.host(host)).power_state() is not PowerState.OFF:
                return None
            if await self._scene.answers(host, 1.0):
                return None
        return f"the BMC of {', '.join(self._hosts)} says Off, and no shell answers"

    async def _on(self) -> str | None:
        for host in self._hosts:
            if await self._scene.machines.bmc(self._scene.cloud.host(host)).power_state() is not PowerState.ON:
                return None
            if not await self._scene.answers(host):
                return None
        return f"the BMC of {', '.join(self._hosts)} says On, and the shell answers"


class Frozen(Endless):
    """Every process of each machine stops; its kernel goes on answering pings."""

    def __init__(self, scene: Scene, hosts: Sequence[str]) -> None:
        self._scene, self._hosts = scene, hosts
        self._board = scene.machines.switchboard()
        # Whoever fences it meanwhile leaves it off.
        steps = (Step.THAW, Step.POWER_ON)
        self.undo = tuple(Undo(step, host) for host in hosts for step in steps)

    async def inject(self) -> None:
        """Freeze them."""
        for host in self._hosts:
            await self._board.freeze(self._scene.cloud.host(host))

    async def confirm(self) -> str:
        """The switchboard says so, and no shell answers."""
        return await seen("frozen, and no answer", self._silent)

    async def verify(self) -> str:
        """The shell answers."""
        return await seen("an answer", self._answering)

    async def _silent(self) -> str | None:
        active = await self._board.active()
        for host in self._hosts:
            if await self._scene.answers(host, 1.0):
                return None
            bmc = self._scene.machines.bmc(self._scene.cloud.host(host))
            if f"freeze {host}" not in active and await bmc.power_state() is not PowerState.OFF:
                return None
        return f"{', '.join(self._hosts)} is frozen or was switched off since, and no shell answers"

    async def _answering(self) -> str | None:
        for host in self._hosts:
            if not await self._scene.answers(host):
                return None
        return f"the shell of {', '.join(self._hosts)} answers"


class Planned:
    """A reboot or a shutdown as an operator does it."""

    def __init__(self, scene: Scene, hosts: Sequence[str], verb: str) -> None:
        self._scene, self._hosts, self._verb = scene, hosts, verb
        self._bmcs = {host: scene.machines.bmc(scene.cloud.host(host)) for host in hosts}
        self._boots: dict[str, str] = {}
        self.undo = tuple(Undo(Step.POWER_ON, host) for host in hosts)

    async def inject(self) -> None:
        """Ask systemd."""
        for host in self._hosts:
            self._boots[host] = await self._scene.out(host, BOOT_ID)
            try:
                done = await self._scene.run(host, f"systemctl {self._verb}", timeout_s=10)
            except StockadeError:
                continue  # the session may end before its answer
            if not done.ok:
                raise HostError(host, f"`systemctl {self._verb}` failed: {done.stderr.strip()[-300:]}")

    async def confirm(self) -> str:
        """The BMC says Off, or the shell belongs to another boot."""
        return await seen(f"off, or another boot, after {self._verb}", self._down, timeout_s=DOWN_S, poll_s=0.5)

    async def over(self) -> bool:
        """Whether every host is there again, in another boot; of a shutdown never."""
        return self._verb == "reboot" and all([await self._is_another(host) for host in self._hosts])

    async def verify(self) -> str:
        """The shell answers, in another boot."""
        return await seen("another boot", self._another, timeout_s=300)

    async def _down(self) -> str | None:
        for host in self._hosts:
            if await self._bmcs[host].power_state() is PowerState.ON and not await self._is_another(host):
                return None
        return f"{', '.join(self._hosts)} is off, or in another boot"

    async def _another(self) -> str | None:
        for host in self._hosts:
            if not await self._is_another(host):
                return None
        return f"{', '.join(self._hosts)} answers, in another boot"

    async def _is_another(self, host: str) -> bool:
        try:
            return await self._scene.out(host, BOOT_ID, timeout_s=5) != self._boots[host]
        except StockadeError:
            await self._scene.machines.transport(self._scene.cloud.host(host)).close()
            return False
