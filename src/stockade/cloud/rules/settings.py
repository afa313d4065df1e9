"""Everything else: volumes, certificate, guard, and the operator's own options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from stockade.cloud.document import Wrong
from stockade.cloud.model import Role, VolumeMode
from stockade.cloud.resolve import Draft
from stockade.cloud.rules.rule import Rule
from stockade.cloud.scalars import show
from stockade.cloud.services import SERVICES

_SECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@ -]{0,127}")
_OPTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}")


def passive_not_yet(draft: Draft) -> Iterable[Wrong]:
    """cinder-volume on one controller at a time needs fencing before it may move, and that is not built yet."""
    if draft.file.volumes.mode is VolumeMode.ACTIVE_PASSIVE:
        what = "active-passive is not supported by this version: nothing would fence the controller it leaves"
        yield Wrong(("volumes", "mode"), what, "use active-active")


def certificate_whole(draft: Draft) -> Iterable[Wrong]:
    """A certificate without its key cannot be served."""
    tls = draft.file.tls
    if tls.certificate and not tls.key:
        yield Wrong(("tls", "key"), "is missing", "name the file with the certificate's private key")
    if tls.key and not tls.certificate:
        fix = "name the file with the certificate, or take the key out: the cloud's own CA then signs one"
        yield Wrong(("tls", "certificate"), "is missing, but there is a key", fix)


def reserve_possible(draft: Draft) -> Iterable[Wrong]:
    """With every compute in reserve, nothing could run."""
    reserve, computes = draft.file.guard.reserve_hosts, len(draft.with_role(Role.COMPUTE))
    if reserve is not None and computes and reserve >= computes:
        what = f"{reserve} in reserve of {computes} compute{'s' if computes > 1 else ''} leaves no room for VMs"
        yield Wrong(("guard", "reserve_hosts"), what, f"use at most {computes - 1}")


def services_known(draft: Draft) -> Iterable[Wrong]:
    """Options of an unknown service would reach no file."""
    for service in draft.file.options:
        if service not in SERVICES:
            close = difflib.get_close_matches(service.lower(), SERVICES, n=1)
            fix = f'did you mean "{close[0]}"?' if close else f"use one of {', '.join(SERVICES)}"
            yield Wrong(("options", service), f"unknown service {show(service)}", fix)


def options_sound(draft: Draft) -> Iterable[Wrong]:
    """A bracket or equals sign in a name would make another section or option of it."""
    for service, sections in draft.file.options.items():
        for section, options in sections.items():
            path = ("options", service, section)
            if not _SECTION.fullmatch(section):
                yield Wrong(path, f"{show(section)} is not a section", "write its name without brackets, like DEFAULT")
            for option in options:
                if not _OPTION.fullmatch(option):
                    fix = "write its name alone, like cpu_allocation_ratio"
                    yield Wrong((*path, option), f"{show(option)} is not an option", fix)


RULES = (
    Rule(
        "Volume mode is active-active: active-passive needs fencing, which comes with a later version.",
        passive_not_yet,
        ("volumes",),
    ),
    Rule("Certificate and key are both given, or neither.", certificate_whole, ("tls",)),
    Rule("At least one compute is not in reserve.", reserve_possible, ("guard", "hosts.*.roles")),
    Rule("Options are of a service that takes them.", services_known, ()),
    Rule("Sections and options are names.", options_sound, ()),
)
