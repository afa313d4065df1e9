"""One rule, and what the rules share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stockade.cloud.document import Path, Wrong
from stockade.cloud.model import Plane
from stockade.cloud.resolve import Draft


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold."""

    sentence: str
    """The rule, for the operator's guide."""
    check: Callable[[Draft], Iterable[Wrong]]
    """Everything that breaks it."""
    reads: tuple[str, ...]
    """Dotted paths it depends on: `*` is any name, `@` the name the complaint itself is about."""

    def depends_on(self, path: Path, wrong: Wrong) -> bool:
        """True if `wrong` might not be said if `path` were known."""
        return any(_overlap(_pattern(read, wrong), path) for read in self.reads)


def _pattern(read: str, wrong: Wrong) -> tuple[str, ...]:
    name = str(wrong.path[1]) if len(wrong.path) > 1 else "*"
    return tuple(name if part == "@" else part for part in read.split("."))


def _overlap(pattern: tuple[str, ...], path: Path) -> bool:
    """True if either is above the other, or they are the same."""
    return all(want in ("*", str(part)) for want, part in zip(pattern, path, strict=False))


def address_path(draft: Draft, host: str, plane: Plane) -> Path:
    """The key that gave `host` its address on `plane`."""
    if getattr(draft.file.hosts[host].addresses, plane) is not None:
        return ("hosts", host, "addresses", str(plane))
    return ("hosts", host, "number")
