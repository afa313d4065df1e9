"""Whole machines: power cut, frozen, rebooted, shut down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from stockade.drill.faults.base import seen
from stockade.drill.faults.undo import Step, Undo
from stockade.drill.scene import Scene
from stockade.errors import StockadeError
from stockade.machines.base import PowerState

BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class PowerCut:
    """Power off through the BMC of each host, at once."""

    def __init__(self, scene: Scene, hosts: Sequence[str]) -> None:
        self._scene, self._hosts = scene, hosts
        self.undo = tuple(Undo(Step.POWER_ON, host) for host in hosts)

    async def inject(self) -> None:
        """Cut it."""
        bmcs = [self._scene.machines.bmc(self._scene.cloud.host(host)) for host in self._hosts]
        await asyncio.gather(*(bmc.set_power(PowerState.OFF) for bmc in bmcs))

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


class Frozen:
    """Every process of each machine stops; its kernel goes on answering pings."""

    def __init__(self, scene: Scene, hosts: Sequence[str]) -> None:
        self._scene, self._hosts = scene, hosts
        self.undo = tuple(Undo(Step.THAW, host) for host in hosts)

    async def inject(self) -> None:
        """Freeze them."""
        board = self._scene.machines.switchboard()
        for host in self._hosts:
            await board.freeze(self._scene.cloud.host(host))

    async def confirm(self) -> str:
        """The switchboard says so, and no shell answers."""
        return await seen("frozen, and no answer", self._silent)

    async def verify(self) -> str:
        """The shell answers."""
        return await seen("an answer", self._answering)

    async def _silent(self) -> str | None:
        active = await self._scene.machines.switchboard().active()
        for host in self._hosts:
            if f"freeze {host}" not in active or await self._scene.answers(host, 1.0):
                return None
        return f"{', '.join(self._hosts)} is frozen, and no shell answers"

    async def _answering(self) -> str | None:
        for host in self._hosts:
            if not await self._scene.answers(host):
                return None
        return f"the shell of {', '.join(self._hosts)} answers"


class Planned:
    """A reboot or a shutdown as an operator does it."""

    def __init__(self, scene: Scene, hosts: Sequence[str], verb: str) -> None:
        self._scene, self._hosts, self._verb = scene, hosts, verb
        self._boots: dict[str, str] = {}
        self.undo = tuple(Undo(Step.POWER_ON, host) for host in hosts)

    async def inject(self) -> None:
        """Ask systemd."""
        for host in self._hosts:
            self._boots[host] = await self._scene.out(host, BOOT_ID)
            # The session may end before its answer.
            with suppress(StockadeError):
                await self._scene.run(host, f"systemctl {self._verb}", timeout_s=10)

    async def confirm(self) -> str:
        """The shell is gone, or belongs to another boot."""
        return await seen(f"{self._verb}", self._gone)

    async def verify(self) -> str:
        """The shell answers, in another boot."""
        return await seen("another boot", self._another, timeout_s=300)

    async def _gone(self) -> str | None:
        for host in self._hosts:
            if await self._scene.answers(host, 1.0) and await self._boot(host) == self._boots[host]:
                return None
        return f"the shell of {', '.join(self._hosts)} is gone"

    async def _another(self) -> str | None:
        for host in self._hosts:
            if await self._boot(host) in ("", self._boots[host]):
                return None
        return f"{', '.join(self._hosts)} answers, in another boot"

    async def _boot(self, host: str) -> str:
        try:
            return await self._scene.out(host, BOOT_ID, timeout_s=5)
        except StockadeError:
            await self._scene.machines.transport(self._scene.cloud.host(host)).close()
            return ""
