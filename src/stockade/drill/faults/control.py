"""The controls: nothing, probes that are dropped, and a cloud that loses what it acknowledged."""

from __future__ import annotations

import asyncio
import shlex
import time

from stockade.drill.faults.base import Endless, NotConfirmed
from stockade.drill.faults.undo import Undo
from stockade.drill.scene import Scene
from stockade.errors import HostError

TABLE = "stockade_drill"


class Nothing(Endless):
    """The null drill."""

    undo: tuple[Undo, ...] = ()

    async def inject(self) -> None:
        """Nothing."""

    async def confirm(self) -> str:
        """Always."""
        return "nothing was done"

    async def verify(self) -> str:
        """Always."""
        return "nothing was done"


class ProbesDropped(Endless):
    """What the users' side of the cloud answers is dropped by this computer's own kernel, for a time measured.

    On the way in: what is dropped on the way out fails at once, and no probe would have to wait for its timeout. The
    kernel ends it by itself, so nothing is in force if the drill is killed: the elements of the set expire.
    """

    undo: tuple[Undo, ...] = ()

    def __init__(self, scene: Scene, for_s: float) -> None:
        cloud, things = scene.cloud, scene.things
        self._addresses = [str(cloud.external_vip), str(cloud.internal_vip), things.guest]
        self._for_s = for_s
        self._began = self._ended = 0.0

    async def inject(self) -> None:
        """Begin to drop."""
        elements = ", ".join(f"{address} timeout {int(self._for_s * 1000)}ms" for address in self._addresses)
        await _nft(
            f"add table ip {TABLE}\ndelete table ip {TABLE}\nadd table ip {TABLE}\n"
            f"add set ip {TABLE} gone {{ type ipv4_addr; flags timeout; }}\n"
            f"add chain ip {TABLE} into {{ type filter hook input priority 0; }}\n"
            f"add rule ip {TABLE} into ip saddr @gone counter drop\n"
            f"add element ip {TABLE} gone {{ {elements} }}\n"
        )
        self._began = time.monotonic()

    async def confirm(self) -> str:
        """The kernel counts what it drops."""
        deadline = time.monotonic() + min(self._for_s, 5.0)
        while time.monotonic() < deadline:
            listing = await _nft(f"list table ip {TABLE}\n")
            if "counter packets 0 " not in listing:
                return f"packets from {', '.join(self._addresses)} are dropped"
            await asyncio.sleep(0.05)
        raise NotConfirmed("the kernel has dropped no packet")

    async def verify(self) -> str:
        """The time is over, and the table is taken away."""
        left_s = self._began + self._for_s - time.monotonic()
        await asyncio.sleep(max(0.0, left_s))
        await _nft(f"delete table ip {TABLE}\n")
        return f"packets were dropped for {self._for_s:g} s"


class RowDeleted(Endless):
    """An acknowledged record is deleted behind the back of the service: a cloud that loses data."""

    undo: tuple[Undo, ...] = ()

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._host = scene.cloud.controllers[0].name
        self._name = ""

    async def inject(self) -> None:
        """Delete the oldest acknowledged record."""
        known = self._scene.acknowledged()
        if not known:
            raise HostError(self._host, "no record was acknowledged before: there is nothing to delete")
        self._name = known[0]
        await self._sql(f"DELETE FROM neutron.address_scopes WHERE name = '{self._name}'")

    async def confirm(self) -> str:
        """The row is gone."""
        if (left := await self._sql(f"SELECT COUNT(*) FROM neutron.address_scopes WHERE name = '{self._name}'")) != "0":
            raise NotConfirmed(f"{left} rows of {self._name} are still there")
        return f"the row of {self._name} is gone"

    async def verify(self) -> str:
        """There is nothing to take back: the records are deleted after the trial."""
        return "nothing to heal"

    async def _sql(self, statement: str) -> str:
        return await self._scene.out(self._host, "mariadb --batch --skip-column-names", stdin=statement + ";\n")


async def _nft(commands: str) -> str:
    """Run nft on this computer, in the network that the probes use."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split("nft -f -"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(commands.encode())
    if process.returncode:
        raise HostError("this computer", f"nft failed: {errors.decode().strip()[-300:]}")
    return output.decode()
