"""The lab's own part of the cgroup v2 tree: every process the lab starts is in it, and is ended through it.

Works below a pure v2 tree as well as beside v1 hierarchies (hybrid), with or without systemd as init: the
groups sit at the top of the v2 tree, where no session or service of this computer's own takes them along.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stockade.errors import LabError

POLL_S = 0.01
FREEZE_TIMEOUT_S = 5.0
"""Freezing waits for system calls that cannot be interrupted; a power cut goes on without it after this."""

CREATE_TRIES = 1000
"""Each try takes microseconds; the top can be taken away at most once per lab that goes meanwhile."""


@dataclass(frozen=True, slots=True)
class Group:
    """One cgroup below the lab's top group; `name` is its path there."""

    name: str

    @property
    def path(self) -> Path:
        """Where its control files are."""
        return mount_point() / "stockade" / self.name

    def create(self) -> None:
        """Make it, if it doesn't exist. Raises `LabError`."""
        for _ in range(CREATE_TRIES):
            # Another lab, the last one to go, takes the empty top along.
            with suppress(FileNotFoundError):
                self.path.mkdir(parents=True, exist_ok=True)
                return
        raise LabError(f"{self.path} cannot be made: its parent is taken away each time")

    def populated(self) -> bool:
        """True while any process is in it or below it; a zombie does not count."""
        try:
            return "populated 1" in (self.path / "cgroup.events").read_text()
        except (FileNotFoundError, OSError):
            return False

    def frozen(self) -> bool:
        """True once every process in it has stopped."""
        try:
            return "frozen 1" in (self.path / "cgroup.events").read_text()
        except (FileNotFoundError, OSError):
            return False

    def pids(self) -> tuple[int, ...]:
        """Processes directly in it."""
        try:
            return tuple(int(pid) for pid in (self.path / "cgroup.procs").read_text().split())
        except FileNotFoundError:
            return ()

    def all_pids(self) -> tuple[int, ...]:
        """Processes in it and below it."""
        found: list[int] = []
        for file in self.path.rglob("cgroup.procs"):
            with suppress(OSError):
                found += map(int, file.read_text().split())
        return tuple(found)

    def freeze(self, *, timeout_s: float = FREEZE_TIMEOUT_S) -> bool:
        """Stop every process in it at once; True when they have stopped."""
        if not self.populated():
            return True
        self._write("cgroup.freeze", "1")
        return _poll(self.frozen, timeout_s)

    def thaw(self) -> None:
        """Let it go on."""
        self._write("cgroup.freeze", "0")

    def kill(self, *, timeout_s: float = 30.0) -> None:
        """SIGKILL everything in it, frozen or not, and wait until it is empty. Raises `LabError` if it never is."""
        self._write("cgroup.kill", "1")
        if not _poll(lambda: not self.populated(), timeout_s):
            raise LabError(f"processes in {self.path} survived SIGKILL for {timeout_s:.0f} s")

    def remove(self) -> None:
        """Delete it and the groups below it, which must be empty; with a whole lab's group the top, once empty.

        A machine's end leaves its lab's group: others may be making theirs in it just now.
        """
        # On a hybrid host systemd-nspawn makes the same path in the v1 tree that systemd would manage.
        for path in (self.path, Path("/sys/fs/cgroup/systemd/stockade", self.name)):
            _remove_tree(path)
            if "/" not in self.name:
                with suppress(OSError):
                    path.parent.rmdir()

    def _write(self, file: str, text: str) -> None:
        try:
            (self.path / file).write_text(text)
        except FileNotFoundError:
            if self.path.exists():
                raise LabError(f"this kernel has no {file} (Linux 5.14 or newer is needed)") from None


def mount_point() -> Path:
    """Where cgroup v2 is mounted. Raises `LabError` if it isn't."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2" and target.startswith("/sys/fs/cgroup"):
            return Path(target)
    raise LabError("cgroup v2 is not mounted on this computer\n  next: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")


def _poll(done: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _remove_tree(path: Path) -> None:
    for directory, _, _ in os.walk(path, topdown=False):
        for _ in range(100):  # a group empties a moment after its last process is gone; 1 s is ample
            try:
                Path(directory).rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(POLL_S)
                continue
            break
