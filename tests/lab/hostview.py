"""What a lab could leave behind on the computer it runs on."""

from __future__ import annotations

import fcntl
import stat
import struct
import subprocess
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

RESTLESS = (
    "/proc/sys/fs/dentry-state",
    "/proc/sys/fs/file-nr",
    "/proc/sys/fs/inode-",
    "/proc/sys/fs/aio-nr",
    "/proc/sys/fs/quota",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/pty/nr",
    "/proc/sys/kernel/random",
    "/proc/sys/kernel/perf_event",
    "/proc/sys/net/netfilter/nf_conntrack_count",
    "/proc/sys/net/ipv4/tcp_fastopen_key",
    "/proc/sys/vm/stat_refresh",
    "/proc/sys/kernel/sched_domain",
)
"""Values the kernel changes by itself."""


@dataclass(frozen=True)
class HostView:
    """Everything of this computer that has the lab's name, and what the lab must not touch at all."""

    mounts: frozenset[str]
    namespaces: frozenset[str]
    groups: frozenset[str]
    loops: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]
    interfaces: frozenset[str]
    sysctls: frozenset[str]
    devices: frozenset[str]

    @classmethod
    def take(cls, lab: str) -> HostView:
        """The view now, of the lab called `lab`."""
        mine = f"/{lab}"
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return cls(
            mounts=frozenset(line for line in mounts if mine in line),
            namespaces=_names(Path("/run/netns"), f"{lab}-"),
            groups=frozenset(str(p) for p in Path("/sys/fs/cgroup").glob(f"**/stockade/{lab}")),
            loops=frozenset(line for line in _loops() if mine in line),
            processes=frozenset(line for line in _commands() if mine in line or f" {lab}" in line),
            files=frozenset(
                str(path)
                for root in ("/run/stockade", "/var/lib/stockade", "/run/systemd/nspawn")
                for path in Path(root).glob(f"**/*{lab}*")
                if Path(root).is_dir()
            )
            | _stale_locks(Path("/run/systemd/nspawn/locks")),
            interfaces=_names(Path("/sys/class/net"), ""),
            sysctls=frozenset(_sysctls()),
            devices=frozenset(_devices()),
        )

    def added_since(self, before: HostView) -> dict[str, frozenset[str]]:
        """What is there now and was not before."""
        added = {f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(self)}
        return {name: values for name, values in added.items() if values}


def _names(directory: Path, prefix: str) -> frozenset[str]:
    if not directory.is_dir():
        return frozenset()
    return frozenset(path.name for path in directory.iterdir() if path.name.startswith(prefix))


def _stale_locks(directory: Path) -> frozenset[str]:
    """Lock files nobody holds: other labs on this computer have some that they do hold."""
    stale = set()
    for path in directory.glob("inode-*") if directory.is_dir() else ():
        with suppress(OSError), path.open() as file:
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
            if struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] == fcntl.F_UNLCK:
                stale.add(str(path))
    return frozenset(stale)


def _loops() -> list[str]:
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout.splitlines()


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def _sysctls() -> list[str]:
    found = []
    for path in Path("/proc/sys").rglob("*"):
        name = str(path)
        if name.startswith(RESTLESS) or "/net/ipv4/conf/" in name or "/net/ipv6/" in name or "/neigh/" in name:
            continue
        with suppress(OSError):
            if path.is_file() and path.stat().st_mode & stat.S_IRUSR:
                found.append(f"{name}={path.read_text(errors='replace').strip()}")
    return found


def _devices() -> list[str]:
    found = []
    for name in ("net/tun", "fuse", "kvm", "loop-control", "null", "ptmx"):
        with suppress(OSError):
            status = Path("/dev", name).stat()
            found.append(f"{name} {status.st_mode:o} {status.st_uid} {status.st_gid}")
    return found
