"""The load process: a plan on standard input, events on standard output, until a line or the end comes in."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack, suppress

from stockade.drill.history import Kind
from stockade.drill.load import acknowledged, datapath, owners, reads, servers, tokens, writer
from stockade.drill.load.http import Client
from stockade.drill.load.plan import LoadPlan, decode
from stockade.drill.load.stream import Recorder, Running

NICE = -15
"""Its schedule must hold while everything else on this computer is busy."""


async def run(plan: LoadPlan) -> None:
    """Everything at once until standard input says so, or the runner is gone."""
    recorder = Recorder(plan.base_ns)
    async with AsyncExitStack() as ends:
        client = Client(plan)
        ends.push_async_callback(client.close)
        first = await tokens.issue(client, plan)
        if first.kind is not Kind.OK:
            sys.exit(f"no token to begin with: {first.error}")
        lives = servers.Lives(client, plan, recorder)
        streams = (
            *tokens.streams(client, plan),
            *reads.streams(client, plan),
            *acknowledged.streams(client, plan),
            *lives.streams(),
            *await datapath.streams(plan, recorder, ends),
            *writer.streams(plan),
        )
        told = {"streams": {each.name: each.described() for each in streams}}
        recorder.write(Kind.OBSERVE, "load", key="begin", value=told)
        stop = _told_to_stop()
        async with asyncio.TaskGroup() as group:
            group.create_task(owners.watch(plan, recorder, stop))
            for stream in streams:
                group.create_task(Running(stream, recorder, plan.seed).run(stop))
        await lives.finish()
        recorder.write(Kind.OBSERVE, "load", key="end")


def _told_to_stop() -> asyncio.Event:
    """Set when standard input says anything, or ends."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told() -> None:
        # What makes it readable is never read, so it would be called again and again.
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), told)
    return stop


def main() -> None:
    """Entry point."""
    with suppress(PermissionError):
        os.nice(NICE)
    asyncio.run(run(decode(sys.stdin.readline())))


if __name__ == "__main__":
    main()
