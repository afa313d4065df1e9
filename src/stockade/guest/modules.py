"""Kernel modules of an unpacked kernel package: where one is, what it needs first, its loadable bytes.

Read from the modules themselves: a package that was only unpacked has no ``modules.dep``, which its
installation script makes.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from pathlib import Path

from stockade.errors import BuildError

_SUFFIXES = (".ko", ".ko.xz")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class ModuleTree:
    """The modules below ``lib/modules/<version>``; names are written with ``_``, as the kernel does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = {
            _name(path): path for path in sorted((root / "kernel").rglob("*.ko*")) if path.name.endswith(_SUFFIXES)
        }
        builtin = root / "modules.builtin"
        lines = builtin.read_text().splitlines() if builtin.exists() else []
        self._builtin = {_name(Path(line)) for line in lines}

    def load(self, name: str) -> bytes:
        """The module, decompressed."""
        path = self._files.get(name)
        if path is None:
            raise BuildError(
                str(self.root),
                f"kernel module {name} is neither there nor built in",
                next_step="use the kernel of Debian's linux-image-cloud-amd64",
            )
        raw = path.read_bytes()
        return lzma.decompress(raw) if path.suffix == ".xz" else raw

    def in_load_order(self, names: Iterable[str]) -> dict[str, bytes]:
        """`names` and all that they need, each after what it needs; what is built in is left out."""
        ordered: dict[str, bytes] = {}
        for name in names:
            self._visit(name, ordered, ())
        return ordered

    def _visit(self, name: str, ordered: dict[str, bytes], above: tuple[str, ...]) -> None:
        if name in ordered or (name in self._builtin and name not in self._files):
            return
        if name in above:
            raise BuildError(str(self.root), f"kernel modules need each other: {' -> '.join((*above, name))}")
        data = self.load(name)
        for needed in depends(data):
            self._visit(needed, ordered, (*above, name))
        ordered[name] = data


def depends(module: bytes) -> tuple[str, ...]:
    """The names in the ``depends=`` line of a module's information section."""
    found = _DEPENDS.search(module)
    listed = found.group(1).decode() if found else ""
    return tuple(name.replace("-", "_") for name in listed.split(",") if name)


def _name(path: Path) -> str:
    return path.name.split(".", 1)[0].replace("-", "_")
