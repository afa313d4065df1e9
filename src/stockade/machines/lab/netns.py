"""Network namespaces, from inside a process.

`ip -n NAME` does what can be done from outside. What it can't (sysctls, offloads, sockets, moving this very
process) is done here, in a thread of its own where that thread must change sides and nothing else may.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from stockade.errors import LabError
from stockade.machines.lab.paths import NETNS

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17

_libc = ctypes.CDLL(None, use_errno=True)
_home: int | None = None
"""The namespace this process was started in, once it has left it."""


def attach(name: str) -> None:
    """Move the calling thread, and every thread and process it starts from now on, into namespace `name`."""
    global _home  # noqa: PLW0603  one process has one home
    if _home is None:
        _home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _enter(NETNS / name)


def outside() -> tuple[list[str], tuple[int, ...]]:
    """How to run a program in the namespace this process started in: what to put before it, and the file it needs.

    Downloads need it: a process attached to a lab has no way out.
    """
    if _home is None:
        return [], ()
    return ["nsenter", f"--net=/proc/self/fd/{_home}"], (_home,)


def inside(name: str, do: Callable[[], T]) -> T:
    """Result of `do()`, called in namespace `name`; the calling thread stays where it is."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            _enter(NETNS / name)
            results.append(do())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name=f"netns-{name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def stream_socket(name: str) -> socket.socket:
    """A TCP socket that lives in namespace `name`, wherever it is used."""
    return inside(name, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))


def sysctl(name: str, values: Mapping[str, str]) -> None:
    """Set `net.*` values of namespace `name`; those this kernel doesn't have are skipped."""

    def write() -> None:
        for key, value in values.items():
            path = Path("/proc/sys", *key.split("."))
            if path.exists():
                path.write_text(value)

    inside(name, write)


def checksums_off(name: str, nics: tuple[str, ...]) -> None:
    """Make the kernel fill in checksums (and cut segments) itself on `nics` of namespace `name`.

    A veth pair passes packets on with checksums left blank. A switch in user space (Open vSwitch without its
    kernel module) hands them to virtual machines as they are, which then drop every one.
    """

    def set_all() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for nic in nics:
                command = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_STXCSUM, 0))
                request = struct.pack("16sP16x", nic.encode(), ctypes.addressof(command))
                fcntl.ioctl(control, _SIOCETHTOOL, request)

    inside(name, set_all)


def _enter(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(f"the lab's network {path.name} does not exist\n  next: stockade up") from None
    try:
        if _libc.setns(fd, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise LabError(f"cannot enter the lab's network {path.name}: {os.strerror(code)} (are you root?)")
    finally:
        os.close(fd)
