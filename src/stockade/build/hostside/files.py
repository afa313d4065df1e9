"""Managed files and directories: what they are, and making them what they should be."""

import contextlib
import grp
import hashlib
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]
READ_LIMIT = 1 << 20
"""Bytes of a file returned for a diff; managed files are far smaller."""


def describe(path: str) -> Json | None:
    """Type, digest, owner, group and mode of `path`; None if there is nothing."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    found: Json = {
        "owner": _user(status.st_uid),
        "group": _group(status.st_gid),
        "mode": stat.S_IMODE(status.st_mode),
    }
    if stat.S_ISDIR(status.st_mode):
        found["type"] = "directory"
    elif stat.S_ISREG(status.st_mode):
        found["type"] = "file"
        found["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    else:
        found["type"] = "other"
    return found


def read(path: str) -> str:
    """Text of `path` for a diff; empty if it is not there."""
    try:
        return Path(path).read_bytes()[:READ_LIMIT].decode(errors="replace")
    except OSError:
        return ""


def write(entry: Json) -> None:
    """Make the file so: written beside, synced, then renamed over, so that no reader ever sees half of it."""
    path = Path(entry["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        raise RuntimeError(f"{path} is a directory where a file belongs; move it away")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(entry["content"].encode())
            file.flush()
            os.fchown(file.fileno(), pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid)
            os.fchmod(file.fileno(), entry["mode"])
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def make_directory(entry: Json) -> None:
    """Make the directory so; its content is not touched."""
    path = Path(entry["path"])
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid)
    path.chmod(entry["mode"])


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
