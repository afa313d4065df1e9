"""Cables: frames that vanish while the link stays up, or a link that goes."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.cloud.model import Plane
from stockade.drill.faults.base import Endless, NotConfirmed, seen
from stockade.drill.faults.undo import Step, Undo
from stockade.drill.scenario import NetworkCut
from stockade.drill.scene import Scene
from stockade.errors import HostError
from stockade.machines.base import Direction


class Cut(Endless):
    """Each host is cut off on each of the planes."""

    def __init__(self, scene: Scene, hosts: Sequence[str], fault: NetworkCut) -> None:
        self._scene, self._hosts, self._fault = scene, hosts, fault
        self._board = scene.machines.switchboard()
        # Whoever fences it meanwhile leaves it off.
        self.undo: tuple[Undo, ...] = (Undo(Step.RECONNECT), *(Undo(Step.POWER_ON, host) for host in hosts))

    async def inject(self) -> None:
        """Tell the switch."""
        board = self._board
        for name in self._hosts:
            host = self._scene.cloud.host(name)
            for plane in self._fault.planes:
                if self._fault.how == "unplug":
                    await board.unplug(host, plane)
                else:
                    await board.cut(host, plane, Direction(self._fault.how), self._fault.percent)

    async def confirm(self) -> str:
        """Neighbours' pings are lost; of a loss in part, the switch says so."""
        if self._fault.percent < 100:
            if not (active := await self._board.active()):
                raise NotConfirmed("the switch knows of no fault")
            return "; ".join(active)
        return await seen("pings lost", lambda: self._pings(wanted=False))

    async def verify(self) -> str:
        """Neighbours' pings arrive, and nothing is left in the switch."""
        if left := await self._board.active():
            return await seen(f"nothing in force but {left}", self._none_active)
        return await seen("pings answered", lambda: self._pings(wanted=True))

    async def _none_active(self) -> str | None:
        return None if await self._board.active() else "nothing is in force"

    async def _pings(self, *, wanted: bool) -> str | None:
        told = []
        for host in self._hosts:
            for plane in self._fault.planes:
                neighbour = self._neighbour(plane)
                if neighbour is None:
                    continue
                address = self._scene.cloud.host(host).addresses[plane]
                done = await self._scene.run(neighbour, f"ping -n -q -c 2 -i 0.2 -W 1 {address}", timeout_s=10)
                if done.ok is not wanted:
                    return None
                told.append(f"{neighbour} {'reaches' if wanted else 'does not reach'} {host} on {plane}")
        if not told:
            raise HostError(self._hosts[0], "no other host is on these planes: nobody could tell")
        return "; ".join(told)

    def _neighbour(self, plane: Plane) -> str | None:
        """A host that is on the plane, and not cut off itself."""
        others = (each.name for each in self._scene.cloud.hosts if plane in each.addresses)
        return next((name for name in others if name not in self._hosts), None)
