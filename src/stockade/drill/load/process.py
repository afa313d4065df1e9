"""The runner's end of the load process: started, listened to, asked to stop, ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from stockade.drill.load.plan import LoadPlan, encode
from stockade.errors import StockadeError

STOP_S = 240.0
"""A VM that is on its way up must be deleted again before the load has ended."""
LINE_MAX = 1 << 20


class LoadProcess:
    """One load process."""

    def __init__(self, process: asyncio.subprocess.Process, forward: Callable[[str], None]) -> None:
        self._process = process
        self._said = asyncio.create_task(self._listen(forward))
        self._wrong = asyncio.create_task(self._complaints())

    @classmethod
    async def start(cls, plan: LoadPlan, forward: Callable[[str], None]) -> LoadProcess:
        """Start it; `forward` gets each line it writes."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "stockade.drill.load",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
        )
        assert process.stdin is not None
        process.stdin.write(encode(plan).encode() + b"\n")
        await process.stdin.drain()
        return cls(process, forward)

    @property
    def ended(self) -> bool:
        """True once it is gone, asked to or not."""
        return self._process.returncode is not None

    async def stop(self) -> None:
        """Ask it to end, and wait until what is under way has. Raises StockadeError if it failed."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):
            self._process.stdin.write(b"stop\n")
            await self._process.stdin.drain()
        try:
            await asyncio.wait_for(self._said, STOP_S)
        except TimeoutError:
            self.kill()
        code = await self._process.wait()
        complaints = await self._wrong
        if code:
            raise StockadeError(f"the load process ended with {code}:\n{complaints[-1000:]}")

    def kill(self) -> None:
        """End it at once; does no harm if it is gone."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _listen(self, forward: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            forward(line.decode())

    async def _complaints(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode(errors="replace").strip()
