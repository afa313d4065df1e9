"""The history file of a trial that runs: every event is on its way to the disk as soon as it happened."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from stockade.drill.history import Event, Kind, decode, encode
from stockade.files import write_whole


class HistoryFile:
    """Appends events and numbers them; `watch` sees each one. Closing compresses the file."""

    def __init__(self, path: Path, watch: Callable[[Event], None]) -> None:
        self.path, self._watch = path, watch
        self.base_ns = time.monotonic_ns()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: TextIO = path.open("x", buffering=1, encoding="utf-8")
        self._count = 0
        self.injected = False
        """Whether the fault was asked for: from then on this is a trial."""

    def write(self, kind: Kind, f: str, **fields: Any) -> None:
        """Write one event that happens now, in the runner."""
        now_ns = time.monotonic_ns() - self.base_ns
        self._append(Event(index=self._count, time_ns=now_ns, kind=kind, f=f, process="runner", **fields))

    def forward(self, line: str) -> None:
        """Write one event that the load process has sent. Raises HistoryError if it is none."""
        event = decode(line, self._count)
        fields = {name: getattr(event, name) for name in Event.__slots__}
        self._append(Event(**{**fields, "index": self._count}))

    def close(self) -> Path:
        """End the file, compressed; its path."""
        self._file.close()
        whole = self.path.with_name(self.path.name + ".gz")
        # Without a time stamp: the same history gives the same bytes.
        write_whole(whole, gzip.compress(self.path.read_bytes(), mtime=0))
        self.path.unlink()
        return whole

    def _append(self, event: Event) -> None:
        self._file.write(encode(event) + "\n")
        self._count += 1
        self.injected = self.injected or (event.kind is Kind.NEMESIS and event.f == "inject")
        # A terminal that went away must not end a drill in mid fault.
        with suppress(OSError, ValueError):
            self._watch(event)


def read_lines(path: Path) -> list[str]:
    """The lines of a history, compressed or not. Raises OSError."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return text.decode().splitlines()
