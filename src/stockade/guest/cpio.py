"""A cpio archive in the kernel's initramfs format ("newc"), the same bytes every time for the same entries."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MTIME = 1_735_689_600  # 2025-01-01, on every entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; `device` is (major, minor) of a device node, else zeros."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """A directory."""
    return Entry(path, stat.S_IFDIR | 0o755)


def regular(path: str, data: bytes, *, executable: bool = False) -> Entry:
    """An ordinary file."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), data)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device, which no privilege is needed to put into an archive."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive; parents must come before what is in them, as the kernel unpacks in order."""
    out = bytearray()
    for inode, entry in enumerate(entries, start=1):
        out += _header(inode, entry)
    out += _header(0, Entry("TRAILER!!!", 0), mtime=0)
    out += bytes(-len(out) % 512)
    return bytes(out)


def _header(inode: int, entry: Entry, mtime: int = _MTIME) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (inode, entry.mode, 0, 0, links, mtime, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
    head += bytes(-len(head) % 4)
    return head + entry.data + bytes(-len(entry.data) % 4)
