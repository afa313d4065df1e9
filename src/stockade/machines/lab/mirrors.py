"""Where this computer gets its Debian packages from, read from its own apt settings.

The golden image comes from the same mirror, so that a computer behind a local mirror or a proxy needs no
setting of its own for the lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DEBIAN_SUITES = frozenset(
    ["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "stable", "testing", "unstable", "oldstable"]
)
"""Suites that only Debian itself publishes, hence mark an entry as Debian's."""

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")
_SCHEMES = ("http://", "https://", "mirror+http://", "mirror+https://")


@dataclass(frozen=True, slots=True)
class Entry:
    """One apt source: a URI with the suites and components taken from it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Debian's archive and its security archive, as this computer reaches them; None: not configured."""

    main: str | None = None
    security: str | None = None

    def lines(self, suite: str) -> tuple[str, ...]:
        """Sources of `suite` in one-line form; empty if this computer's settings name no Debian mirror."""
        if self.main is None:
            return ()
        lines = [f"deb {self.main} {suite} main", f"deb {self.main} {suite}-updates main"]
        if self.security is not None:
            lines.append(f"deb {self.security} {suite}-security main")
        return tuple(lines)


def parse_one_line(text: str) -> Iterator[Entry]:
    """Entries of a `sources.list` file."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if match:
            options = dict(o.split("=", 1) for o in (match["options"] or "").split() if "=" in o)
            yield Entry(
                match["uri"], (match["suite"],), tuple(match["components"].split()), options.get("signed-by", "")
            )


def parse_deb822(text: str) -> Iterator[Entry]:
    """Entries of a `.sources` file: one for each URI of each enabled `deb` stanza."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            yield Entry(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", ""),
            )


def choose(entries: Iterable[Entry]) -> Mirrors:
    """The first Debian mirror and the first security mirror among `entries`.

    Other vendors' repositories use Debian's suite names too, but have keys of their own.
    """
    main: str | None = None
    security: str | None = None
    for entry in entries:
        foreign_key = entry.signed_by and "debian-archive" not in entry.signed_by
        if foreign_key or "main" not in entry.components or not entry.uri.startswith(_SCHEMES):
            continue
        bases = {suite.partition("-")[0] for suite in entry.suites}
        if not bases & DEBIAN_SUITES:
            continue
        if any(suite.endswith("-security") for suite in entry.suites):
            security = security or entry.uri
        elif bases & set(entry.suites):
            main = main or entry.uri
    return Mirrors(main, security)


def read(etc_apt: Path = Path("/etc/apt")) -> Mirrors:
    """The mirrors named by the apt settings below `etc_apt`."""
    parts = etc_apt / "sources.list.d"
    entries: list[Entry] = []
    for path in (etc_apt / "sources.list", *sorted(parts.glob("*.list"))):
        if path.is_file():
            entries += parse_one_line(path.read_text(errors="replace"))
    for path in sorted(parts.glob("*.sources")):
        entries += parse_deb822(path.read_text(errors="replace"))
    return choose(entries)


def _fields(stanza: str) -> dict[str, str]:
    """Fields of one deb822 stanza, names in lower case, continuation lines joined."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            if name:
                fields[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            fields[name] = value.strip()
    return fields
