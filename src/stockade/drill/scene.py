"""What a fault, a role or an observation may look at and touch: one cloud, its machines, the drill's own things."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from stockade.cloud.model import Cloud, Host
from stockade.errors import HostError, StockadeError
from stockade.machines.base import Completed, Machines


@dataclass(frozen=True, slots=True)
class Things:
    """What the drill uses in the cloud; made by `drill.things`."""

    router_id: str
    server_id: str
    volume_id: str
    guest: str
    """Floating address of the demo's VM."""
    server: dict[str, object]
    """What to send for a VM more."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One cloud during one trial."""

    cloud: Cloud
    machines: Machines
    things: Things
    acknowledged: Callable[[], list[str]]
    """Names of the records that were acknowledged so far."""

    async def run(self, host: str, script: str, *, stdin: str = "", timeout_s: float = 30.0) -> Completed:
        """Run a shell script on `host`; a failure is not an error. Raises HostError if the host does not answer."""
        transport = self.machines.transport(self.cloud.host(host))
        return await transport.run(["sh", "-c", script], stdin=stdin, timeout_s=timeout_s)

    async def out(self, host: str, script: str, *, stdin: str = "", timeout_s: float = 30.0) -> str:
        """Output of a shell script on `host`. Raises HostError if it fails."""
        done = await self.run(host, script, stdin=stdin, timeout_s=timeout_s)
        if not done.ok:
            raise HostError(host, f"`{script}` failed: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout.strip()

    async def answers(self, host: str, timeout_s: float = 3.0) -> bool:
        """True if the shell of `host` answers now. A session from before a power cut counts as no answer."""
        transport = self.machines.transport(self.cloud.host(host))
        try:
            # A transport's own bound begins when it is connected, and a dead host takes long to be given up.
            async with asyncio.timeout(timeout_s):
                return (await transport.run(["true"], timeout_s=timeout_s)).ok
        except (StockadeError, TimeoutError):
            await transport.close()
            return False

    async def each(self, script: str, hosts: tuple[Host, ...], timeout_s: float = 15.0) -> dict[str, str]:
        """Output of a script on each of the hosts that answers and where it succeeds."""

        async def one(host: Host) -> tuple[str, str | None]:
            try:
                return host.name, await self.out(host.name, script, timeout_s=timeout_s)
            except HostError:
                return host.name, None

        found = await asyncio.gather(*(one(host) for host in hosts))
        return {name: text for name, text in found if text is not None}
