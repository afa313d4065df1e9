"""Requests as users send them, and what became of each."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Any

import httpx

from stockade.drill.history import Kind
from stockade.drill.load import outcome
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Result

GIVE_UP_S = 60.0
"""Above every stream's own patience, which is what counts; only so that nothing waits for ever."""
SENDING = "http11.send_request_headers.started"
"""httpx's own name for the moment before which nothing of a request has left."""


class Client:
    """Both ways in which clients connect: anew each time, or over a connection that is kept."""

    def __init__(self, plan: LoadPlan) -> None:
        context = ssl.create_default_context(cafile=plan.ca_file)
        self._fresh = _client(context, keep=0)
        self._kept = _client(context, keep=20)
        self.token = ""
        """The session's, as a user has one for an hour: a new one for each request would make every API ask Keystone
        each time, which its cache is there to prevent."""
        self.newest = ""
        """The last one that was issued."""

    async def close(self) -> None:
        """Close every connection."""
        await self._fresh.aclose()
        await self._kept.aclose()

    async def send(
        self,
        method: str,
        url: str,
        allowed: Collection[int],
        *,
        keep: bool = False,
        writes: bool = False,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> tuple[Result, httpx.Response | None]:
        """Send one request; the caller's patience bounds it. What it did is told, not raised."""
        sent = False

        async def trace(event: str, _info: dict[str, Any]) -> None:
            nonlocal sent
            sent = sent or event == SENDING

        client = self._kept if keep else self._fresh
        try:
            answer = await client.request(
                method,
                url,
                headers={"X-Auth-Token": self.token, **(headers or {})},
                extensions={"trace": trace},
                **arguments,
            )
        except httpx.HTTPError as error:
            kind = outcome.of_error(sent=sent, writes=writes)
            return Result(kind, f"{type(error).__name__}: {error}"[:200], endpoint=url), None
        kind = outcome.of_status(answer.status_code, allowed, writes=writes)
        wrong = None if kind is Kind.OK else f"HTTP {answer.status_code}: {answer.text[:120]}"
        return Result(kind, wrong, endpoint=url), answer


def _client(context: ssl.SSLContext, *, keep: int) -> httpx.AsyncClient:
    # Unbounded connections: a pool that is full would make the loop closed.
    # How long a kept one lives is the other side's business.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep, keepalive_expiry=None)
    return httpx.AsyncClient(verify=context, limits=limits, timeout=GIVE_UP_S, trust_env=False)
