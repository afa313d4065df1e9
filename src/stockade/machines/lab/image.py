"""The golden image: one Debian 13 tree that every machine's overlay lies on, cached by what it is made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from stockade.errors import LabError
from stockade.lock import FileLock
from stockade.machines.lab import mirrors, netns
from stockade.machines.lab.paths import IMAGES, STATE_ROOT
from stockade.machines.lab.run import run, stream

SUITE = "trixie"
RECIPE = 1
"""Raise it when this file changes what comes out."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LOCK_TIMEOUT_S = 1800.0
"""Another run may be building the same image over a slow network."""

_EXCLUDED = ("man", "doc", "locale", "info", "lintian", "groff", "help", "gnome/help")
"""Below /usr/share: a quarter of the files, read by nobody in a lab."""

_EMULATORS = ("/usr/bin/qemu-system-*", ("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-i386"))
"""nova-compute's package brings emulators of 30 processors, and libvirt asks each of them what it can do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what the image holds. Package versions do not: a cached image is kept as it is."""

    packages: tuple[str, ...]
    debconf: str
    finish: str

    @property
    def digest(self) -> str:
        """Name of the image made from this recipe."""
        text = json.dumps([RECIPE, SUITE, _EXCLUDED, _EMULATORS, self.packages, self.debconf, self.finish])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe() -> Recipe:
    """The recipe shipped with this version of Stockade."""
    here = resources.files("stockade.machines.lab")
    lines = (here / "packages.txt").read_text().splitlines()
    packages = tuple(sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")}))
    return Recipe(packages, (here / "image-debconf.txt").read_text(), (here / "image-finish.sh").read_text())


def command(wanted: Recipe, target: Path, helpers: Path, sources: Path | None) -> list[str]:
    """The mmdebstrap call that builds `wanted` in `target`; pure, so that a test can read it."""
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    argv += [f"--keyring={KEYRING}", f"--include={','.join(wanted.packages)}"]
    argv += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
    unwanted, wanted_emulators = _EMULATORS
    argv += [f"--dpkgopt=path-exclude={unwanted}", *(f"--dpkgopt=path-include={each}" for each in wanted_emulators)]
    # The tree is renamed into place only when it is whole, so nothing needs to reach the disk before that.
    argv += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Retries "5"', '--aptopt=Acquire::Languages "none"']
    argv += [f'--essential-hook=chroot "$1" debconf-set-selections < {helpers}/debconf']
    argv += [f'--customize-hook=sh {helpers}/finish "$1"']
    return [*argv, SUITE, str(target), *([str(sources)] if sources else [])]


def ensure(say: Callable[[str], None]) -> Path:
    """Root directory of the golden image, built if it isn't there. Raises `LabError`."""
    wanted = recipe()
    final = IMAGES / wanted.digest
    if final.is_dir():
        return final
    IMAGES.mkdir(parents=True, exist_ok=True)
    with FileLock(IMAGES / ".lock", timeout_s=LOCK_TIMEOUT_S):
        _discard_halves()
        if not final.is_dir():
            _build(wanted, final, say)
    return final


def discard_unused() -> None:
    """Delete every image that no machine on this computer lies on."""
    if not IMAGES.is_dir():
        return
    with FileLock(IMAGES / ".lock", timeout_s=LOCK_TIMEOUT_S):
        _discard_halves()
        used = set(_used())
        for image in IMAGES.iterdir():
            if image.is_dir() and image.name not in used:
                _delete(image)
        if not any(path.is_dir() for path in IMAGES.iterdir()):
            shutil.rmtree(IMAGES)
            with suppress(OSError):
                IMAGES.parent.rmdir()


def _build(wanted: Recipe, final: Path, say: Callable[[str], None]) -> None:
    work = IMAGES / f".build-{os.getpid()}"
    target, helpers = work / "root", work / "helpers"
    helpers.mkdir(parents=True)
    (helpers / "debconf").write_text(wanted.debconf)
    (helpers / "finish").write_text(wanted.finish)
    lines = mirrors.read().lines(SUITE)
    sources = helpers / "sources.list" if lines else None
    if sources:
        sources.write_text("\n".join(lines) + "\n")
    # Own mount and process namespaces: however this ends, no mount and no apt is left behind.
    isolated = ["unshare", "--mount", "--propagation=private", "--pid", "--mount-proc", "--fork", "--kill-child"]
    prefix, fds = netns.outside()
    code, tail = stream([*prefix, *isolated, *command(wanted, target, helpers, sources)], _speak(say), pass_fds=fds)
    if code != 0:
        _delete(work)
        last = "\n".join(tail[-8:])
        raise LabError(f"the golden image could not be built (mmdebstrap ended with {code}):\n{last}")
    run(["sync", "--file-system", str(target)], timeout_s=600)
    target.rename(final)
    _delete(work)


def _speak(say: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on what mmdebstrap and dpkg are at, not each line of it."""

    def on_line(line: str) -> None:
        if line.startswith("I: "):
            say(line[3:60])
        elif line.startswith(("Unpacking ", "Setting up ", "Get:")):
            say(" ".join(line.split()[:3])[:60])

    return on_line


def _discard_halves() -> None:
    for half in IMAGES.glob(".build-*"):
        _delete(half)


def _delete(path: Path) -> None:
    # One file system only: should a mount ever be left in there, its contents belong to someone else.
    run(["rm", "-rf", "--one-file-system", str(path)], timeout_s=600)


def _used() -> Iterator[str]:
    for description in STATE_ROOT.glob("*/lab/*/machine.json"):
        yield Path(json.loads(description.read_text())["image"]).name
