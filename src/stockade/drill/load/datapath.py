"""The path to a VM through its floating address: numbered datagrams, and one TCP session opened once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from stockade.drill.history import Kind
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Recorder, Result, Stream

PORT = 7
UDP_TIMEOUT_S = 1.0
TCP_TIMEOUT_S = 20.0
"""TCP itself repeats what was lost; a session that survives is late, not lost."""
CONNECT_S = 3.0


class Echoes(asyncio.DatagramProtocol):
    """Numbered datagrams, and whoever waits for their return."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, asyncio.Future[None]] = {}

    def datagram_received(self, data: bytes, _address: tuple[str | int, int]) -> None:
        """One has come back."""
        future = self.waiting.get(data)
        if future and not future.done():
            future.set_result(None)

    def error_received(self, error: Exception) -> None:
        """The network said no to the newest one; the others may still come back."""
        for future in list(self.waiting.values())[-1:]:
            if not future.done():
                future.set_exception(error)


async def streams(plan: LoadPlan, recorder: Recorder, ends: AsyncExitStack) -> tuple[Stream, ...]:
    """`udp` and `tcp`; `ends` closes what they hold open."""
    if not plan.rate_hz("udp"):
        return ()
    transport, echoes = await asyncio.get_running_loop().create_datagram_endpoint(
        Echoes, remote_addr=(plan.guest, PORT)
    )

    async def udp(number: int) -> Result:
        data = f"{plan.seed} {number}".encode()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        echoes.waiting[data] = future
        try:
            transport.sendto(data)
            await future
        except OSError as error:
            return Result(Kind.FAIL, str(error))
        finally:
            del echoes.waiting[data]
        return Result(Kind.OK)

    ends.callback(transport.close)
    session = Session(plan.guest, recorder)
    ends.push_async_callback(session.close)
    return (
        Stream("udp", plan.rate_hz("udp"), UDP_TIMEOUT_S, udp),
        Stream("tcp", plan.rate_hz("tcp"), TCP_TIMEOUT_S, session.echo),
    )


class Session:
    """One TCP session. It is opened again only after it broke, and that is recorded."""

    def __init__(self, address: str, recorder: Recorder) -> None:
        self._address, self._recorder = address, recorder
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def echo(self, number: int) -> Result:
        """Send one line and wait until it comes back."""
        line = f"{number}\n".encode()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            async with self._turn:
                await self._open()
            assert self._writer is not None
            self._waiting[line] = future
            self._writer.write(line)
            await future
        except OSError as error:
            return Result(Kind.FAIL, f"{type(error).__name__}: {error}")
        finally:
            self._waiting.pop(line, None)
        return Result(Kind.OK)

    async def close(self) -> None:
        """End the session, if it is open; nothing is recorded."""
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()

    async def _open(self) -> None:
        if self._writer is not None:
            return
        async with asyncio.timeout(CONNECT_S):
            self._reader, self._writer = await asyncio.open_connection(self._address, PORT)
        self._recorder.write(Kind.OBSERVE, "tcp-session", value="opened")
        self._listening = asyncio.create_task(self._listen(self._reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        why = "ended by the other side"
        try:
            while line := await reader.readline():
                future = self._waiting.get(line)
                if future and not future.done():
                    future.set_result(None)
        except OSError as error:
            why = f"{type(error).__name__}: {error}"
        self._recorder.write(Kind.OBSERVE, "tcp-session", value=f"broken: {why}")
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(why))
