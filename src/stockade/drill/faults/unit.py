"""Processes of a systemd unit: frozen, or killed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from stockade.drill.faults.base import Endless, seen
from stockade.drill.faults.undo import Step, Undo
from stockade.drill.scene import Scene
from stockade.machines.common import gather_all


class UnitFrozen(Endless):
    """SIGSTOP to every process of the unit: it holds its sockets, and answers nobody."""

    def __init__(self, scene: Scene, hosts: Sequence[str], unit: str) -> None:
        self._scene, self._hosts, self._unit = scene, hosts, unit
        self.undo = tuple(Undo(Step.CONTINUE, host, unit) for host in hosts)

    async def inject(self) -> None:
        """Stop them."""
        script = f"systemctl kill --signal=SIGSTOP --kill-whom=all {shlex.quote(self._unit)}"
        await gather_all(self._scene.out(host, script) for host in self._hosts)

    async def confirm(self) -> str:
        """Every process is in state T."""
        return await seen(f"every process of {self._unit} stopped", lambda: self._all("T", "stopped"))

    async def verify(self) -> str:
        """None is."""
        return await seen(f"every process of {self._unit} running", lambda: self._all("", "running"))

    async def _all(self, wanted: str, word: str) -> str | None:
        count = 0
        for host in self._hosts:
            states = (await self._scene.out(host, _STATES.format(unit=shlex.quote(self._unit)))).split()
            stopped = [state for state in states if state == "T"]
            if not states or len(stopped) != (len(states) if wanted else 0):
                return None
            count += len(states)
        return f"{count} processes of {self._unit} on {', '.join(self._hosts)} are {word}"


_STATES = (
    "for pid in $(cat /sys/fs/cgroup$(systemctl show -P ControlGroup {unit})/cgroup.procs); do "
    "sed 's/.*) //' /proc/$pid/stat 2>/dev/null | cut -d' ' -f1; done"
)


class UnitKilled(Endless):
    """SIGKILL to every process of the unit; kept down, or left to whoever starts it again."""

    def __init__(self, scene: Scene, hosts: Sequence[str], unit: str, *, keep_down: bool) -> None:
        self._scene, self._hosts, self._unit, self._keep_down = scene, hosts, unit, keep_down
        self._before: dict[str, str] = {}
        self.undo = tuple(Undo(Step.START, host, unit) for host in hosts) if keep_down else ()

    async def inject(self) -> None:
        """Kill them, all hosts at once."""
        unit = shlex.quote(self._unit)
        for host in self._hosts:
            self._before[host] = await self._main(host)
        mask = f"systemctl mask --runtime {unit} && " if self._keep_down else ""
        script = f"{mask}systemctl kill --signal=SIGKILL --kill-whom=all {unit}"
        await gather_all(self._scene.out(host, script) for host in self._hosts)

    async def confirm(self) -> str:
        """The main process is another one, or none."""
        return await seen(f"another main process of {self._unit}", self._changed)

    async def verify(self) -> str:
        """There is a main process."""
        return await seen(f"a main process of {self._unit}", self._there, timeout_s=180, poll_s=1)

    async def _main(self, host: str) -> str:
        return await self._scene.out(host, f"systemctl show -P MainPID {shlex.quote(self._unit)}")

    async def _changed(self) -> str | None:
        told = []
        for host in self._hosts:
            now = await self._main(host)
            if now == self._before[host]:
                return None
            told.append(f"{host}: {self._before[host]} became {now}")
        return "; ".join(told)

    async def _there(self) -> str | None:
        for host in self._hosts:
            if await self._main(host) in ("0", self._before.get(host)):
                return None
        return f"{self._unit} runs on {', '.join(self._hosts)}"
