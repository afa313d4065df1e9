"""Which machine answers for a VIP, as its users' own network sees it: the link address, each time it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stockade.drill.history import Kind
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Recorder

EVERY_S = 0.2
NEIGHBOURS = Path("/proc/net/arp")
UNKNOWN = "00:00:00:00:00:00"


def parse(table: str) -> dict[str, str]:
    """Link address by IP address; what is not known is left out."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[0]: row[3] for row in rows if len(row) >= 4 and row[3] != UNKNOWN}


async def watch(plan: LoadPlan, recorder: Recorder, stop: asyncio.Event) -> None:
    """Record `vip-owner` until `stop`. An address that is only just being asked for changes nothing."""
    last: dict[str, str] = {}
    while not stop.is_set():
        known = parse(NEIGHBOURS.read_text())  # noqa: ASYNC240  a file of the kernel's never waits
        for name, address in plan.vips.items():
            owner = known.get(address)
            if owner and owner != last.get(name):
                last[name] = owner
                recorder.write(Kind.OBSERVE, "vip-owner", key=name, value=owner)
        await asyncio.sleep(EVERY_S)
