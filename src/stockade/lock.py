"""A lock file that dies with its holder, and can be handed to a child process."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from stockade.errors import StockadeError

POLL_S = 0.02


class FileLock:
    """`flock` with a bound. The lock belongs to the open file: a child that inherits it holds it too."""

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self.path, self.timeout_s = path, timeout_s
        self._fd: int | None = None

    @classmethod
    def inherited(cls, path: Path, fd: int, *, timeout_s: float) -> FileLock:
        """The lock on `path` that the parent process holds through `fd` and leaves to this one."""
        lock = cls(path, timeout_s=timeout_s)
        os.set_inheritable(fd, False)
        lock._fd = fd
        return lock

    @property
    def fd(self) -> int:
        """The open file, to hand to a child."""
        assert self._fd is not None, "not held"
        return self._fd

    def acquire(self) -> None:
        """Take the lock. Raises `StockadeError` if another holder keeps it for `timeout_s`, or without the right."""
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StockadeError(f"cannot lock {self.path}: {error.strerror}\n  next: run this as root") from error
            if _locked(fd) and self._is_current(fd):
                self._fd = fd
                return
            os.close(fd)
            if time.monotonic() > deadline:
                raise StockadeError(
                    f"{self.path} is still locked after {self.timeout_s:.0f} s\n  next: wait for the other run to end"
                )
            time.sleep(POLL_S)

    def _is_current(self, fd: int) -> bool:
        """False if the file was deleted while it was waited for: its lock then keeps nobody out."""
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock up, for a child holding it too."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.leave()

    def leave(self) -> None:
        """Close this process's end; a child that inherited the lock goes on holding it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
