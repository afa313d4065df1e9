"""systemd units: their state, and starting, restarting, masking them."""

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import shell

Json = dict[str, Any]
DIRECTORY = Path("/etc/systemd/system")
MARKERS = Path("/var/lib/stockade/applied")
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState")
_ENV = {**os.environ, "SYSTEMCTL_SKIP_SYSV": "1"}
START_TIMEOUT_S = 960
"""Longer than any unit may take to be ready: mariadb.service, which may copy a whole database, has 900 s."""


def describe(names: Sequence[str]) -> dict[str, Json]:
    """State of each unit, by the name asked for, with the marker left by its last start under us."""
    if not names:
        return {}
    output = shell.run(["systemctl", "show", "--property=" + ",".join(PROPERTIES), *map(_full, names)])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in output.strip().split("\n\n")]
    return {
        name: {
            "load": block.get("LoadState", ""),
            "active": block.get("ActiveState", ""),
            "sub": block.get("SubState", ""),
            "enabled": enabled,
            "marker": marker(name),
        }
        for name, block, enabled in zip(names, blocks, _enabled(names), strict=True)
    }


def _enabled(names: Sequence[str]) -> list[str]:
    """Whether each starts at boot, from the links on disk: `show` tells what the manager knew at its last reload."""
    argv = ["systemctl", "is-enabled", *map(_full, names)]
    # Returns non-zero when none is, and prints them all the same.
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=_ENV, check=False).stdout.splitlines()


def masked(names: Sequence[str]) -> dict[str, bool]:
    """For each unit that exists on this host at all: whether it is masked. Reads links only, so hundreds are cheap."""
    found = {}
    for name in names:
        link = DIRECTORY / _full(name)
        if link.is_symlink() and str(link.readlink()) == "/dev/null":
            found[name] = True
        elif (
            any((Path(place) / _full(name)).exists() for place in ("/usr/lib/systemd/system", str(DIRECTORY)))
            or (Path("/etc/init.d") / name).exists()
        ):
            found[name] = False
    return found


def marker(name: str) -> str:
    """What the unit had read when it was last started by us; empty if never."""
    try:
        return (MARKERS / name).read_text()
    except OSError:
        return ""


def forget(name: str) -> None:
    """Drop the marker, so that the unit counts as not restarted until `remember`."""
    (MARKERS / name).unlink(missing_ok=True)


def remember(name: str, value: str) -> None:
    """Leave the marker: the unit now runs with what `value` stands for."""
    MARKERS.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = MARKERS / f".{name}.new"
    temporary.write_text(value)
    temporary.replace(MARKERS / name)


def mask(names: Sequence[str]) -> None:
    """Stop the units and make sure nothing starts them, now or at boot."""
    if not names:
        return
    for name in names:
        link = DIRECTORY / _full(name)
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
        for wants in DIRECTORY.glob(f"*.wants/{_full(name)}"):
            wants.unlink()
    reload_manager()
    shell.run(["systemctl", "stop", *map(_full, names)], timeout_s=START_TIMEOUT_S)


def unmask(name: str) -> None:
    """Undo `mask` if it was done."""
    link = DIRECTORY / _full(name)
    if link.is_symlink() and str(link.readlink()) == "/dev/null":
        link.unlink()


def enable(name: str, *, at_boot: bool) -> None:
    """Let systemd start the unit at boot, or not. Debian's init scripts are left out of it."""
    # The manager need not read everything anew for a link that matters at boot: on a new host that costs a minute.
    shell.run(["systemctl", "enable" if at_boot else "disable", "--quiet", "--no-reload", _full(name)], env=_ENV)


def act(verb: str, name: str) -> None:
    """start, stop, restart, reload or try-restart. A failure carries the unit's last log lines."""
    with contextlib.suppress(shell.CommandError):  # not loaded yet: nothing to reset
        shell.run(["systemctl", "reset-failed", _full(name)])
    try:
        shell.run(["systemctl", verb, _full(name)], timeout_s=START_TIMEOUT_S)
    except (shell.CommandError, subprocess.TimeoutExpired) as error:
        raise UnitError(name, verb, log(name)) from error


def log(name: str, lines: int = 15) -> list[str]:
    """The unit's last log lines."""
    try:
        return shell.run(["journalctl", "-u", _full(name), "-n", str(lines), "--no-pager", "-o", "cat"]).splitlines()
    except shell.CommandError:
        return []


def reload_manager() -> None:
    """systemctl daemon-reload."""
    shell.run(["systemctl", "daemon-reload"])


class UnitError(RuntimeError):
    """systemd could not do `verb` to the unit."""

    def __init__(self, name: str, verb: str, lines: list[str]) -> None:
        self.unit, self.lines = name, lines
        super().__init__(f"systemd could not {verb} {name}")


def _full(name: str) -> str:
    return name if "." in name.rsplit("@", 1)[-1] and name.rsplit(".", 1)[-1] in _SUFFIXES else f"{name}.service"


_SUFFIXES = {"service", "socket", "timer", "target", "path", "mount"}
