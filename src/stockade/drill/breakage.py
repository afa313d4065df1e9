"""From arm to healed: the part of a trial in which something is broken, and in which nothing may stop the heal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from stockade.drill.faults.base import NotConfirmed, Package
from stockade.drill.faults.undo import HealPlan
from stockade.drill.history import Kind
from stockade.drill.scenario import Scenario
from stockade.errors import StockadeError


class Record(Protocol):
    """Where events are written."""

    def write(self, kind: Kind, f: str, **fields: Any) -> None:
        """Write one event that happens now."""
        ...


async def break_and_heal(
    fault: Package,
    scenario: Scenario,
    record: Record,
    plan: HealPlan,
    hold: Callable[[float], Awaitable[None]],
    undo: Callable[[], Coroutine[Any, Any, None]],
) -> str:
    """Inject, confirm, `hold`, heal by `undo`, verify. What went wrong, empty if nothing did.

    The undo steps are on disk before the injection, and done whatever happens after it, being cancelled included: then
    CancelledError is raised when they are. They stay on disk until they were done and seen to have worked.
    """
    if fault.undo:
        plan.write(fault.undo)
    record.write(Kind.NEMESIS, "arm", value=[str(step) for step in fault.undo])
    trouble: list[str] = []
    interrupted: asyncio.CancelledError | None = None
    try:
        await _in_force(fault, scenario, record, hold)
    except NotConfirmed as error:
        _write(record, Kind.NEMESIS, "gave-up", error=str(error))
    except asyncio.CancelledError as error:
        interrupted = error
    except Exception as error:
        trouble.append(f"{type(error).__name__}: {error}")
    _write(record, Kind.NEMESIS, "heal")
    try:
        interrupted = await _to_the_end(_heal(fault, record, plan, undo)) or interrupted
    except Exception as error:
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        trouble.append("not healed, `stockade drill heal` tries again: " + "; ".join(map(str, causes)))
    if interrupted:
        raise interrupted
    return "; ".join(trouble)


async def _in_force(
    fault: Package, scenario: Scenario, record: Record, hold: Callable[[float], Awaitable[None]]
) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + scenario.hold_s
    record.write(Kind.NEMESIS, "inject", value=scenario.fault.model_dump(mode="json"))
    await fault.inject()
    record.write(Kind.NEMESIS, "confirmed", value=await fault.confirm())
    while (left_s := ends - loop.time()) > 0 and not await fault.over():
        await hold(min(left_s, OVER_EVERY_S))
    if scenario.lasts:
        record.write(Kind.NEMESIS, "still", value=await fault.confirm())


OVER_EVERY_S = 1.0
"""How often a fault that may end by itself is asked whether it has."""


async def _heal(fault: Package, record: Record, plan: HealPlan, undo: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await undo()
    evidence = await fault.verify()
    plan.done()
    _write(record, Kind.NEMESIS, "healed", value=evidence)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> asyncio.CancelledError | None:
    """Wait until `work` has ended, however often this task is cancelled meanwhile; the last cancellation, if any."""
    task = asyncio.ensure_future(work)
    interrupted = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            interrupted = error
        except Exception:
            break
    task.result()
    return interrupted


def _write(record: Record, kind: Kind, f: str, **fields: Any) -> None:
    """Write an event if it can be written: a full disk here must not leave a fault in force there."""
    with suppress(OSError, StockadeError):
        record.write(kind, f, **fields)
