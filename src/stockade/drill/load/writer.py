"""The writer inside the VM, read from outside: which records it says are stable on its disk, and in which boot."""

from __future__ import annotations

import asyncio

from stockade.drill.history import Kind
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Result, Stream

PORT = 7000
TIMEOUT_S = 3.0


def parse(line: str) -> dict[str, object]:
    """The guest's line: state, last acknowledged number, first one of this boot, boot id, uptime. Raises ValueError."""
    state, last, first, boot, uptime = line.split()
    return {"state": state, "last": int(last), "first": int(first), "boot": boot, "uptime_s": float(uptime)}


def streams(plan: LoadPlan) -> tuple[Stream, ...]:
    """`writer`."""
    if not plan.rate_hz("writer"):
        return ()

    async def read(_number: int) -> Result:
        try:
            reader, out = await asyncio.open_connection(plan.guest, PORT)
            try:
                line = (await reader.readline()).decode()
            finally:
                out.close()
            return Result(Kind.OK, value=parse(line))
        except (OSError, ValueError) as error:
            return Result(Kind.FAIL, f"{type(error).__name__}: {error}"[:200])

    return (Stream("writer", plan.rate_hz("writer"), TIMEOUT_S, read),)
