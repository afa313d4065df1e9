"""`machines.base.Switchboard` of the lab: its faults, without holding up whoever asks for them."""

from __future__ import annotations

import asyncio

from stockade.cloud.model import Host, Plane
from stockade.machines.base import Direction
from stockade.machines.lab.faults import Cut, Faults


class LabSwitchboard:
    """The faults of one cloud's lab."""

    def __init__(self, cloud: str) -> None:
        self._faults = Faults(cloud)

    async def freeze(self, host: Host) -> None:
        """Stop every process of the machine where it is. Raises `LabError`."""
        await asyncio.to_thread(self._faults.freeze, host.name)

    async def thaw(self, host: Host) -> None:
        """Let it go on."""
        await asyncio.to_thread(self._faults.thaw, host.name)

    async def cut(self, host: Host, plane: Plane, direction: Direction, percent: int) -> None:
        """Drop frames of the machine on `plane`."""
        await asyncio.to_thread(self._faults.cut, Cut(host.name, plane, direction, percent))

    async def unplug(self, host: Host, plane: Plane) -> None:
        """Pull the machine's cable on `plane`."""
        await asyncio.to_thread(self._faults.unplug, host.name, plane)

    async def active(self) -> tuple[str, ...]:
        """Every fault in force, in words."""
        return await asyncio.to_thread(self._faults.active)

    async def reconnect(self) -> None:
        """Plug in every cable and let every frame pass."""
        await asyncio.to_thread(self._faults.reconnect)
