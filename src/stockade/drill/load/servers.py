"""VMs made and deleted: scheduler, conductor, messaging, network, images end to end."""

from __future__ import annotations

import asyncio
import time

from stockade.drill.history import Kind
from stockade.drill.load.acknowledged import PREFIX
from stockade.drill.load.http import Client
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Recorder, Result, Stream

ACCEPT_S, ACTIVE_S, DELETE_S = 20.0, 120.0, 60.0
POLL_S = 1.0


class Lives:
    """VMs under way. `server-accept` is the stream; each VM adds its own `server-active` and `server-delete`."""

    def __init__(self, client: Client, plan: LoadPlan, recorder: Recorder) -> None:
        self._client, self._plan, self._recorder = client, plan, recorder
        self._base = f"{plan.api('compute').external}/servers"
        self._under_way: set[asyncio.Task[None]] = set()

    def streams(self) -> tuple[Stream, ...]:
        """`server-accept`, if any VMs are to be made."""
        if not self._plan.rate_hz("server-accept") or not self._plan.server:
            return ()
        return (Stream("server-accept", self._plan.rate_hz("server-accept"), ACCEPT_S, self._begin, writes=True),)

    async def finish(self) -> None:
        """Wait until every VM is gone again, which their steps' own bounds limit."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _begin(self, number: int) -> Result:
        body = {"server": {**self._plan.server, "name": f"{PREFIX}-vm-{self._plan.seed}-{number}"}}
        result, answer = await self._client.send("POST", self._base, {202}, writes=True, json=body)
        if answer is None or result.kind is not Kind.OK:
            return result
        server = str(answer.json()["server"]["id"])
        task = asyncio.create_task(self._live(server))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return Result(Kind.OK, key=server, endpoint=result.endpoint)

    async def _live(self, server: str) -> None:
        """From accepted to gone; both steps are recorded, whatever comes of them."""
        try:
            await self._steps(server)
        except Exception as error:
            # A VM that vanished from the record would look as if it had never been asked for.
            now_ns = self._recorder.now_ns()
            self._note("server-delete", server, now_ns, Result(Kind.INFO, f"{type(error).__name__}: {error}"[:200]))

    async def _steps(self, server: str) -> None:
        began_ns = self._recorder.now_ns()
        became = await self._wait(server, "ACTIVE", ACTIVE_S)
        self._note("server-active", server, began_ns, became)
        began_ns = self._recorder.now_ns()
        self._recorder.write(Kind.INVOKE, "server-delete", key=server)
        result, _ = await self._client.send("DELETE", f"{self._base}/{server}", {204, 404}, writes=True)
        gone = await self._wait(server, "gone", DELETE_S) if result.kind is Kind.OK else result
        self._note("server-delete", server, began_ns, gone)

    async def _wait(self, server: str, wanted: str, timeout_s: float) -> Result:
        """Ask until it is as wanted. An answer that fails is asked for again: only the state counts."""
        deadline = time.monotonic() + timeout_s
        last = "no answer"
        while time.monotonic() < deadline:
            _, answer = await self._client.send("GET", f"{self._base}/{server}", {200, 404}, keep=True)
            if answer is not None and answer.status_code in (200, 404):
                last = "gone" if answer.status_code == 404 else str(answer.json()["server"]["status"])
                if last == wanted:
                    return Result(Kind.OK)
                if last == "ERROR":
                    return Result(Kind.FAIL, "it went to ERROR")
            await asyncio.sleep(POLL_S)
        return Result(Kind.INFO, f"not {wanted} in {timeout_s:.0f} s, last {last}")

    def _note(self, stream: str, server: str, began_ns: int, result: Result) -> None:
        self._recorder.write(result.kind, stream, start_ns=began_ns, lag_ns=0, key=server, error=result.error)
