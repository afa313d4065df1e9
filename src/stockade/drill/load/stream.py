"""One stream of operations: sent when they are due, each in a task of its own, each recorded."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stockade.drill.history import SECOND_NS, Event, Kind, encode
from stockade.drill.load.arrivals import arrivals


class Recorder:
    """Writes events to standard output, where the runner reads them."""

    def __init__(self, base_ns: int) -> None:
        self.base_ns = base_ns

    def now_ns(self) -> int:
        """Since the trial began."""
        return time.monotonic_ns() - self.base_ns

    def write(self, kind: Kind, f: str, **fields: Any) -> None:
        """Write one event that happens now. The runner numbers it."""
        line = encode(Event(index=0, time_ns=self.now_ns(), kind=kind, f=f, process="load", **fields))
        os.write(sys.stdout.fileno(), line.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Result:
    """How one operation ended."""

    kind: Kind
    error: str | None = None
    value: Any = None
    key: str | None = None
    endpoint: str | None = None


Operation = Callable[[int], Awaitable[Result]]
"""Called with the operation's number in its stream."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of operation, `rate_hz` times a second; without an answer in `timeout_s` its user gives up.

    `key` names what a write creates, before it is sent.
    """

    name: str
    rate_hz: float
    timeout_s: float
    do: Operation
    deadline_s: float = 3.0
    """An answer that takes longer is as good as none to whoever waits for it, and counts as a failure. On a lab whose
    hosts share two cores answers take a second under load, so this is not shorter."""
    writes: bool = False
    key: Callable[[int], str] | None = None

    def described(self) -> dict[str, Any]:
        """For the history."""
        told = {"rate": self.rate_hz, "timeout_s": self.timeout_s, "writes": self.writes}
        return told if self.name.startswith("server-") else {**told, "deadline_s": self.deadline_s}


@dataclass
class Running:
    """A stream at work."""

    stream: Stream
    recorder: Recorder
    seed: int
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then wait for what is under way, which its patience bounds."""
        began_ns = self.recorder.now_ns()
        for number, at_s in enumerate(arrivals(self.stream.rate_hz, f"{self.seed} {self.stream.name}")):
            due_ns = began_ns + int(at_s * SECOND_NS)
            if await _stopped_before(stop, (due_ns - self.recorder.now_ns()) / SECOND_NS):
                break
            task = asyncio.create_task(self._one(number, due_ns))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=self.stream.timeout_s + 5)

    async def _one(self, number: int, due_ns: int) -> None:
        lag_ns = self.recorder.now_ns() - due_ns
        key = self.stream.key(number) if self.stream.key else None
        if self.stream.writes:
            self.recorder.write(Kind.INVOKE, self.stream.name, key=key)
        try:
            async with asyncio.timeout(self.stream.timeout_s):
                result = await self.stream.do(number)
        except TimeoutError:
            result = Result(Kind.INFO if self.stream.writes else Kind.FAIL, "no answer in time")
        except Exception as error:
            # What no workload foresaw: it must not end the load, and nobody knows what it did.
            result = Result(Kind.INFO if self.stream.writes else Kind.FAIL, f"{type(error).__name__}: {error}"[:200])
        self.recorder.write(
            result.kind,
            self.stream.name,
            start_ns=due_ns,
            lag_ns=lag_ns,
            key=key or result.key,
            value=result.value,
            endpoint=result.endpoint,
            error=result.error,
        )


async def _stopped_before(stop: asyncio.Event, seconds: float) -> bool:
    if seconds <= 0:
        return stop.is_set()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
