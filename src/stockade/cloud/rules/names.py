"""Names of the cloud and its hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stockade.cloud.document import Path, Wrong
from stockade.cloud.resolve import Draft
from stockade.cloud.rules.rule import Rule
from stockade.cloud.scalars import LABEL, show

MAX_LAB_NAME = 11
"""The lab names bridges and NICs `<name>-xyz`, and the kernel allows 15 characters."""
MAX_NAME = 63
"""Of one part of a host name (RFC 1123)."""
RESERVED_CLOUDS = frozenset({"all", "default", "localhost", "none"})
RESERVED_HOSTS = frozenset({"all", "external", "internal", "ip6-localhost", "localhost", "none", "vip"})
"""Names with a meaning of their own in /etc/hosts and on the command line."""


def _unfit(name: str, limit: int, reserved: frozenset[str]) -> tuple[str, str] | None:
    """What is wrong with `name`, and what to do."""
    if len(name) > limit:
        return f"the name {show(name)} has {len(name)} characters", f"use at most {limit}"
    if name in reserved:
        return f"the name {show(name)} means something else already", "choose another"
    if name.isdigit():
        return f"the name {show(name)} is a number", "begin it with a letter"
    if LABEL.fullmatch(name):
        return None
    plain = re.sub(r"[^a-z0-9]+", "-", name.split(".")[0].lower()).strip("-")
    advice = f', such as "{plain}"' if LABEL.fullmatch(plain) and not plain.isdigit() else ""
    return f"{show(name)} is not a name for a machine", f"use a-z, 0-9 and - in between{advice}"


def _complain(path: Path, unfit: tuple[str, str] | None) -> Iterator[Wrong]:
    if unfit:
        yield Wrong(path, *unfit)


def cloud_name(draft: Draft) -> Iterable[Wrong]:
    """The cloud's name must do as a DNS label, and in a lab as the beginning of interface names."""
    return _complain(("name",), _unfit(draft.file.name, MAX_LAB_NAME if draft.lab else MAX_NAME, RESERVED_CLOUDS))


def host_names(draft: Draft) -> Iterable[Wrong]:
    """Host names are set on the machines and written into /etc/hosts."""
    for name in draft.file.hosts:
        yield from _complain(("hosts", name), _unfit(name, MAX_NAME, RESERVED_HOSTS))


RULES = (
    Rule(
        "The cloud's name is a DNS label, in a lab of at most 11 characters, and not all, default, localhost or none.",
        cloud_name,
        ("name", "machines"),
    ),
    Rule(
        "Host names are DNS labels in lower case (RFC 1123), at most 63 characters, and not a name that "
        "means something "
        "else, such as localhost or vip.",
        host_names,
        (),
    ),
)
