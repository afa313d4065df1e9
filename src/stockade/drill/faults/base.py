"""What every kind of fault offers the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from stockade.drill.faults.undo import Undo
from stockade.errors import StockadeError

CONFIRM_S = 60.0
"""By then the fault has taken effect, or the trial says nothing. A clean shutdown takes longest."""
POLL_S = 0.2


class NotConfirmed(StockadeError):
    """The fault was asked for, and cannot be seen."""


class Package(Protocol):
    """One fault, ready to be injected. `undo` is known before, and written to disk before."""

    undo: tuple[Undo, ...]

    async def inject(self) -> None:
        """Do it, and return as soon as it was asked for."""
        ...

    async def confirm(self) -> str:
        """How it was seen from outside that it is in force. Raises NotConfirmed after a bound."""
        ...

    async def over(self) -> bool:
        """Whether it has ended by itself: then there is nothing more to wait for."""
        ...

    async def verify(self) -> str:
        """How it was seen, after the undo steps, that nothing of it is left. Raises NotConfirmed."""
        ...


class Endless:
    """A fault that does not end by itself."""

    async def over(self) -> bool:
        """False: it lasts until it is healed."""
        return False


async def seen(
    what: str, look: Callable[[], Awaitable[str | None]], timeout_s: float = CONFIRM_S, poll_s: float = POLL_S
) -> str:
    """The first evidence that `look` returns. Raises NotConfirmed saying `what` was not seen."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        evidence = await look()
        if evidence is not None:
            return evidence
        if asyncio.get_running_loop().time() > deadline:
            raise NotConfirmed(f"not seen within {timeout_s:.0f} s: {what}")
        await asyncio.sleep(poll_s)
