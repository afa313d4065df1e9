"""What the lab needs of this computer, and what it must put back.

The lab installs Debian packages where its programs are missing, and they stay. Everything else it makes is in
namespaces, groups and directories of its own; the one thing shared is the mount that `ip netns` puts on
/run/netns when it is first used, which is taken away again with the last lab.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable

from stockade.errors import LabError
from stockade.files import write_whole
from stockade.machines.lab import cgroup, netns
from stockade.machines.lab.disk import is_mount_point, unmount
from stockade.machines.lab.image import KEYRING
from stockade.machines.lab.paths import NETNS, RUN_ROOT, STATE_ROOT
from stockade.machines.lab.run import stream

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "nft": "nftables",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "losetup": "mount",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
"""Program: the Debian package it comes in."""

LINUX_MIN = (5, 14)
"""The first kernel with cgroup.kill."""

_RECORD = STATE_ROOT / "host.json"


def ensure(say: Callable[[str], None]) -> None:
    """Make this computer able to run a lab. Raises `LabError` if it can't be."""
    if os.geteuid() != 0:
        raise LabError("lab machines need root\n  next: run this as root, or with sudo")
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release < LINUX_MIN:
        raise LabError(f"Linux {platform.release()} is too old for the lab: it needs 5.14 or newer")
    cgroup.mount_point()
    _install(missing_packages(), say)
    if not _RECORD.exists():
        STATE_ROOT.mkdir(parents=True, exist_ok=True)
        before = {"run_netns_was_mounted": is_mount_point(NETNS), "run_netns_existed": NETNS.is_dir()}
        write_whole(_RECORD, json.dumps(before) + "\n")


def missing_packages() -> tuple[str, ...]:
    """Debian packages to install before a lab can run here."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None}
    if not KEYRING.exists():
        missing.add("debian-archive-keyring")
    return tuple(sorted(missing))


def restore() -> None:
    """Put back what the labs changed of this computer, if no lab is left on it."""
    if any(STATE_ROOT.glob("*/lab")):
        return
    if _RECORD.exists():
        before = json.loads(_RECORD.read_text())
        if NETNS.is_dir() and not any(NETNS.iterdir()):
            if not before["run_netns_was_mounted"]:
                unmount(NETNS)
            if not before["run_netns_existed"]:
                NETNS.rmdir()
        _RECORD.unlink()
    for directory in (STATE_ROOT, RUN_ROOT):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def _install(packages: tuple[str, ...], say: Callable[[str], None]) -> None:
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"this computer lacks {', '.join(packages)}, and has no apt-get to install them with")
    prefix, fds = netns.outside()
    apt = [*prefix, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    say(f"installing {', '.join(packages)}")
    install = [*apt, "install", "--yes", "--no-install-recommends", *packages]
    code, tail = stream(install, say, pass_fds=fds)
    if code != 0:
        # Package lists may be missing or old.
        stream([*apt, "update"], say, pass_fds=fds)
        code, tail = stream(install, say, pass_fds=fds)
    if code != 0:
        raise LabError(f"could not install {', '.join(packages)}:\n" + "\n".join(tail[-5:]))
