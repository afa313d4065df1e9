"""A disk without space."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from stockade.drill.faults.base import Endless, seen
from stockade.drill.faults.undo import Step, Undo
from stockade.drill.scene import Scene

NAME = ".stockade-drill-fills-the-disk"


class DiskFull(Endless):
    """One file takes what is left of the file system that holds `path`, without being written."""

    def __init__(self, scene: Scene, hosts: Sequence[str], path: str) -> None:
        self._scene, self._hosts, self._path = scene, hosts, path
        self._file = f"{path.rstrip('/')}/{NAME}"
        self.undo = tuple(Undo(Step.REMOVE_FILES, host, self._file) for host in hosts)

    async def inject(self) -> None:
        """Take the space; the last few blocks go to what writes meanwhile."""
        file = shlex.quote(self._file)
        script = (
            f"left=$(df --output=avail -B4096 {shlex.quote(self._path)} | tail -1); "
            f"fallocate -l $((left * 4096)) {file} || fallocate -l $((left * 4096 - 67108864)) {file}; "
            f"dd if=/dev/zero of={file}.more bs=4096 2>/dev/null; cat {file}.more >/dev/null; rm -f {file}.more; "
            f"fallocate -l $(( $(stat -c %s {file}) + $(df --output=avail -B1 {shlex.quote(self._path)} | tail -1) )) "
            f"{file} 2>/dev/null; true"
        )
        for host in self._hosts:
            await self._scene.out(host, script, timeout_s=60)

    async def confirm(self) -> str:
        """A write fails for lack of space."""
        return await seen("a write that fails", lambda: self._write(wanted=False))

    async def verify(self) -> str:
        """A write succeeds."""
        return await seen("a write that succeeds", lambda: self._write(wanted=True))

    async def _write(self, *, wanted: bool) -> str | None:
        probe = shlex.quote(f"{self._file}.probe")
        script = f"head -c 1048576 /dev/zero >{probe}; code=$?; rm -f {probe}; exit $code"
        for host in self._hosts:
            if (await self._scene.run(host, script)).ok is not wanted:
                return None
        return f"1 MiB {'can' if wanted else 'cannot'} be written to {self._path} on {', '.join(self._hosts)}"
