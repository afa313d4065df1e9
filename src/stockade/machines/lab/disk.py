"""A machine's disk: a sparse file with ext4 on it, whose power can be cut.

It is mounted in the mount namespace of the machine's warden only. Were it mounted in this computer's own, every
process anywhere that happens to get a mount namespace of its own (`ip netns exec` makes one) would hold a copy
of the mount, and the file system would outlive the machine.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stockade.errors import LabError
from stockade.machines.lab.run import run

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = (2).to_bytes(4, "little")

RELEASE_TIMEOUT_S = 10.0
"""After the last process of a machine is gone, the kernel drops its mounts a moment later."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A file-backed ext4 and where it is mounted."""

    file: Path
    mount: Path

    def create(self, size: str, content: Path) -> None:
        """Make a disk of `size` (sparse: it takes only what is written) holding the tree `content`."""
        half = self.file.with_suffix(".new")
        half.unlink(missing_ok=True)
        run(["truncate", "--size", size, str(half)])
        # Few inodes and lazy tables, for a file that takes no space until it is used; one per 32 KiB is still
        # two million on 60 GiB. Reserved blocks are for systems that must go on when their disk is full.
        options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
        shape = ["-m", "0", "-i", "32768", "-J", "size=128", "-E", options]
        run(["mkfs.ext4", "-q", "-F", *shape, "-d", str(content), str(half)])
        half.rename(self.file)

    def attach(self) -> None:
        """Mount it, replaying its journal."""
        self.mount.mkdir(parents=True, exist_ok=True)
        # barrier=0: what the machine has synced is in this computer's page cache, and a lab power cut leaves
        # that alone (it drops what ext4 has not written yet). A flush to the physical disk would add nothing
        # but time. noinit_itable: no background writer filling tables nobody reads.
        run(["mount", "-o", "loop,noatime,barrier=0,noinit_itable", str(self.file), str(self.mount)])

    def cut_power(self, pids: Iterable[int]) -> None:
        """Stop the file system, as this process or one of `pids` sees it: nothing unsynced is written any more."""
        for root in (Path("/"), *(Path(f"/proc/{pid}/root") for pid in pids)):
            seen = root / self.mount.relative_to("/")
            with suppress(OSError):
                fd = os.open(seen, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    if os.fstat(fd).st_dev != seen.parent.stat().st_dev:
                        fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, _NOLOGFLUSH)
                        return
                finally:
                    os.close(fd)

    def wait_released(self) -> None:
        """Return when no loop device has the file any more. Raises `LabError` if something holds it."""
        deadline = time.monotonic() + RELEASE_TIMEOUT_S
        while any(_backing_files(self.file)):
            if time.monotonic() > deadline:
                raise LabError(f"{self.file} is still mounted in some process outside the machine")
            time.sleep(0.01)


def unmount(target: Path) -> None:
    """Unmount `target` in this process's mount namespace. Raises `LabError` if it stays busy."""
    deadline = time.monotonic() + RELEASE_TIMEOUT_S
    while is_mount_point(target):
        with suppress(LabError):
            run(["umount", str(target)])
            continue
        if time.monotonic() > deadline:
            raise LabError(f"{target} is still busy after {RELEASE_TIMEOUT_S:.0f} s")
        time.sleep(0.02)


def is_mount_point(path: Path) -> bool:
    """True if something is mounted on `path`, also if it is of the same file system (`Path.is_mount` misses that)."""
    return str(path.resolve()) in _mount_points()


def keep_mounts_here(path: Path) -> None:
    """Let mounts made below `path` stay in this process's own mount namespace."""
    holders = [point for point in _mount_points() if path.resolve().is_relative_to(point)]
    run(["mount", "--make-private", max(holders, key=len)])


def device_node(path: Path, like: Path) -> bool:
    """Make a node of our own for the device `like`; False if this computer doesn't have it.

    Binding this computer's own node into a machine would let the machine's chmod reach this computer's /dev.
    """
    try:
        status = like.stat()
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    os.mknod(path, mode=0o020600, device=status.st_rdev)
    return True


def _mount_points() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _backing_files(file: Path) -> Iterable[bool]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            # A file deleted meanwhile is shown with a mark behind its name.
            yield backing.read_text().removesuffix("\n").removesuffix(" (deleted)") == str(file)
