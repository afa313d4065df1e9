"""Small things that every kind of machines needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from stockade.cloud.model import BmcAddress, Host
from stockade.errors import HostError
from stockade.machines.base import Transport

T = TypeVar("T")

RETRY_S = 0.3
"""Between two attempts to reach a machine that is booting."""


PROBE_TIMEOUT_S, PROBE_TIMEOUT_MAX_S = 5.0, 20.0
"""For a command that does nothing. The first bound is for finding out soon that a session is of an earlier boot;
it grows, as opening a session on a machine that is booting under load takes its time."""


async def gather_all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results of `work`, done side by side. Everything ends before the first error is raised: nothing is left half
    done in the background."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def answer(transport: Transport, *, timeout_s: float) -> None:
    """Wait until the machine behind `transport` runs commands. Raises `HostError` after `timeout_s`.

    A session from before the machine's power was cut is still open on this side, and hangs: it is given up.
    """
    deadline = time.monotonic() + timeout_s
    probe_s = PROBE_TIMEOUT_S
    while True:
        try:
            await transport.run(["true"], timeout_s=probe_s)
        except HostError:
            if time.monotonic() > deadline:
                raise
            await transport.close()
            probe_s = min(2 * probe_s, PROBE_TIMEOUT_MAX_S)
        else:
            return
        await asyncio.sleep(RETRY_S)


def bmc_address(host: Host) -> BmcAddress:
    """Where `host`'s BMC is. Raises `HostError` if the cloud file doesn't say."""
    if host.bmc is None:
        raise HostError(host.name, "has no BMC", next_step=f"give {host.name} a `bmc:` in the cloud file")
    return host.bmc
