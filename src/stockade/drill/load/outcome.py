"""What became of a request: ok, fail or unknown. Pure."""

from __future__ import annotations

from collections.abc import Collection

from stockade.drill.history import Kind


def of_status(status: int, allowed: Collection[int], *, writes: bool) -> Kind:
    """Outcome of a request that was answered with `status`.

    A server error after something was asked for may come before or after it took effect.
    """
    if status in allowed:
        return Kind.OK
    return Kind.INFO if writes and status >= 500 else Kind.FAIL


def of_error(*, sent: bool, writes: bool) -> Kind:
    """Outcome of a request without an answer; `sent` says whether any of it may have reached a server."""
    return Kind.INFO if sent and writes else Kind.FAIL
