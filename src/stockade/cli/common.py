"""What the commands share: the cloud file, its machines, running async work, ending with the right exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.markup import escape

from stockade.cloud.load import default_cloud_path, load
from stockade.cloud.model import Cloud
from stockade.errors import StockadeError
from stockade.machines.base import Machines
from stockade.machines.factory import machines_for

EXIT_FAILED, EXIT_USAGE, EXIT_DEGRADED = 1, 2, 3
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)
Result = TypeVar("Result")


def cloud_argument(function: Callable[..., None]) -> Callable[..., None]:
    """The optional FILE argument of commands that work on a cloud file."""
    return click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))(function)


def read_cloud(file: Path | None) -> Cloud:
    """The cloud file given, or the default one."""
    return load(file or default_cloud_path())


def reachable(cloud: Cloud) -> Machines:
    """The cloud's machines, with this process able to reach their networks."""
    machines = machines_for(cloud)
    machines.attach()
    return machines


def run(machines: Machines, work: Callable[[], Awaitable[Result]]) -> Result:
    """Run async work and end its sessions, whatever happens."""

    async def whole() -> Result:
        try:
            return await work()
        finally:
            await machines.close()

    return asyncio.run(whole())


def fail(error: BaseException) -> int:
    """Print an error as the user should see it and return the exit code."""
    if isinstance(error, BaseExceptionGroup):
        codes = [fail(each) for each in error.exceptions]
        return max(codes)
    if isinstance(error, StockadeError):
        err.print("[bold red]error:[/bold red]", escape(str(error)), soft_wrap=True)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        err.print("interrupted; run the same command again to go on")
        return EXIT_FAILED
    raise error


def leave(code: int) -> None:
    """End the process with `code`."""
    sys.exit(code)
