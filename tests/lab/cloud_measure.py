"""Measured figures: kept for the summary at the end of the run, and appended to $STOCKADE_RESULTS as JSON lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TAKEN: list[dict[str, Any]] = []
"""Every figure of this run, in order."""


def record(step: str, **figures: Any) -> None:
    """Keep the figures of one step; seconds are rounded to tenths."""
    rounded = {name: round(value, 1) if isinstance(value, float) else value for name, value in figures.items()}
    line = {"step": step, **rounded}
    TAKEN.append(line)
    print(sentence(line))
    place = os.environ.get("STOCKADE_RESULTS")
    if place:
        with Path(place).open("a") as file:
            file.write(json.dumps({"at": round(time.time()), **line}) + "\n")


def sentence(line: dict[str, Any]) -> str:
    """One step as a line of the summary."""
    figures = ", ".join(f"{name} {value}" for name, value in line.items() if name != "step")
    return f"{line['step']}: {figures}"


@contextmanager
def timed(step: str, **figures: Any) -> Iterator[None]:
    """Record how long the block took, if it succeeded."""
    started = time.monotonic()
    yield
    record(step, seconds=time.monotonic() - started, **figures)
