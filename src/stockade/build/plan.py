"""The plan: how hosts differ from their bundles, as a pure difference of bundles and facts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stockade.build.model import Bundle, Bundles, File, Resource, Stage, Start, Unit

Facts = Mapping[str, Any]
"""One host's answer to the `facts` request."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing `up` would do on one host, and why."""

    host: str
    service: str
    kind: str
    """package, directory, file, mask, unit or resource."""
    subject: str
    sentence: str
    verb: str = ""
    """For units: start, restart, revive (restart of what is not ready), try-restart (if it runs by then), reload,
    apply (a one-shot), or empty."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order of hosts and stages."""

    changes: tuple[Change, ...]

    def of(self, host: str, service: str) -> tuple[Change, ...]:
        """The changes of one stage of one host."""
        return tuple(change for change in self.changes if (change.host, change.service) == (host, service))

    def services(self) -> frozenset[str]:
        """Services anything changes in."""
        return frozenset(change.service for change in self.changes)


MASK_STAGE = "base"
"""Which stage masks the units a host must not run: the first one, before anything could start them."""


def resource_key(stage: Stage, resource: Resource) -> str:
    """How facts name a resource."""
    return f"{stage.service}/{resource.name}"


def facts_request(bundle: Bundle) -> dict[str, Any]:
    """What to ask a host to be able to plan for it."""
    stages = bundle.stages
    return {
        "do": "facts",
        "files": sorted(
            {file.path for stage in stages for file in stage.files}
            | {directory.path for stage in stages for directory in stage.directories}
        ),
        "units": sorted({unit.name for stage in stages for unit in stage.units}),
        "masked": list(bundle.masked),
        "packages": sorted({name for stage in stages for name in stage.packages}),
        "resources": [
            {
                "key": resource_key(stage, each),
                "name": each.name,
                "program": each.program,
                "desired": each.desired,
            }
            for stage in stages
            for each in (*stage.before_start, *stage.resources)
        ],
    }


def marker(unit: Unit, files: Mapping[str, File]) -> str:
    """What stands for everything the unit has read: kept on the host since its last start by us.

    Files read but not managed for this host do not count.
    """
    parts = [f"{path} {_digest(files[path])}" for path in (*unit.reads, *unit.reloads) if path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def plan(bundles: Bundles, facts: Mapping[str, Facts]) -> Plan:
    """Everything that differs, host by host. Each host is compared with its own facts only."""
    changes: list[Change] = []
    renewed = _renewed_accounts(bundles, facts)
    for host, bundle in bundles.items():
        known: dict[str, File] = {}
        for stage in bundle.stages:
            known |= {file.path: file for file in stage.files}
        earlier: set[str] = set()
        for stage in bundle.stages:
            found = _stage_changes(host, stage, known, facts[host], earlier)
            if stage.service in renewed:
                found += _restarts_for_new_account(host, stage, facts[host], found)
            changes += found
            earlier |= {file.path for file in stage.files}
            if stage.service == MASK_STAGE:
                changes += [
                    Change(host, stage.service, "mask", name, f"{name} must never run here")
                    for name in bundle.masked
                    if facts[host]["masked"].get(name) is False
                ]
    return Plan(tuple(changes))


def _renewed_accounts(bundles: Bundles, facts: Mapping[str, Facts]) -> frozenset[str]:
    """Services whose Keystone user is gone and will be made anew, under another id."""
    return frozenset(
        stage.service
        for host, bundle in bundles.items()
        for stage in bundle.stages
        for each in (*stage.before_start, *stage.resources)
        if each.program == "identity"
        and each.desired.get("account")
        and f"user {each.desired['account']['name']} is missing"
        in facts[host]["resources"].get(resource_key(stage, each), [])
    )


def _restarts_for_new_account(host: str, stage: Stage, facts: Facts, found: Sequence[Change]) -> list[Change]:
    """Keystone answers a token of a user who is gone with 404, and keystonemiddleware takes that for a fault of its own
    caller's token: an API would refuse everybody until its token of the old user ends. So APIs begin anew."""
    concerned = {change.subject for change in found if change.kind == "unit" and change.verb}
    return [
        Change(host, stage.service, "unit", unit.name, f"{unit.name} has a token of the user who is gone", "restart")
        for unit in stage.units
        if unit.backend and unit.name not in concerned and facts["units"].get(unit.name, {}).get("active") == "active"
    ]


def _stage_changes(host: str, stage: Stage, known: Mapping[str, File], facts: Facts, earlier: set[str]) -> list[Change]:
    """A file that several stages have is written by the first: writing it again would take away the markers of
    units that have been started since."""

    def change(kind: str, subject: str, sentence: str, verb: str = "") -> Change:
        return Change(host, stage.service, kind, subject, sentence, verb)

    changes = [
        change("package", name, f"package {name} is not installed")
        for name in stage.packages
        if name not in facts["packages"]
    ]
    for directory in stage.directories:
        why = _entry_difference(facts["files"].get(directory.path), "directory", directory)
        if why:
            changes.append(change("directory", directory.path, f"{directory.path} {why}"))
    for file in stage.files:
        why = _file_difference(file, facts["files"].get(file.path))
        if why and file.path not in earlier:
            changes.append(change("file", file.path, f"{file.path} {why}"))
    changes += [
        change("resource", each.name, f"{each.name}: {line}")
        for each in stage.before_start
        for line in facts["resources"].get(resource_key(stage, each), [])
    ]
    rewritten = {path for path, file in known.items() if _file_difference(file, facts["files"].get(path))}
    for unit in stage.units:
        verb, why = _unit_difference(unit, facts["units"].get(unit.name, {}), rewritten, known)
        if why:
            changes.append(change("unit", unit.name, f"{unit.name} {why}", verb))
    changes += [
        change("resource", each.name, f"{each.name}: {line}")
        for each in stage.resources
        for line in facts["resources"].get(resource_key(stage, each), [])
    ]
    return changes


def _file_difference(file: File, found: Mapping[str, Any] | None) -> str:
    why = _entry_difference(found, "file", file)
    if not why and found and found["sha256"] != _digest(file):
        return "has other content"
    return why


def _entry_difference(found: Mapping[str, Any] | None, kind: str, wanted: Any) -> str:
    if found is None:
        return "is missing"
    if found["type"] != kind:
        return f"is not a {kind}"
    if (found["owner"], found["group"]) != (wanted.owner, wanted.group):
        return f"belongs to {found['owner']}:{found['group']}, not {wanted.owner}:{wanted.group}"
    if found["mode"] != wanted.mode:
        return f"has mode {found['mode']:04o}, not {wanted.mode:04o}"
    return ""


def _unit_difference(
    unit: Unit, found: Mapping[str, Any], rewritten: set[str], known: Mapping[str, File]
) -> tuple[str, str]:
    """(verb, why) for one unit; no why means nothing to do."""
    # One that systemd starts over and over does not run: it needs its settings, not a drain.
    active = found.get("active") in ("active", "activating", "reloading") and found.get("sub") != "auto-restart"
    # Not ready yet, it serves nobody, and what it waits for may be the very settings that are about to change.
    again = "revive" if found.get("active") == "activating" else "restart"
    stale = found.get("marker", "") != marker(unit, known)
    must_restart = any(path in rewritten for path in unit.reads)
    only_reload = not must_restart and found.get("marker") and any(path in rewritten for path in unit.reloads)
    if unit.start is Start.AGENT:
        if active and (must_restart or stale):
            return again, "runs with older settings"
        if found.get("enabled") == "enabled":
            return "", "starts at boot, without a grant"
        # Rewriting what it reads takes its marker away; without a change here nothing would bring that back.
        # The agent may start it any moment, with what was there before: whoever then runs must read the new.
        return ("try-restart", "does not run yet") if not active and (must_restart or stale) else ("", "")
    if unit.oneshot:
        changed = must_restart or stale or found.get("enabled") != "enabled"
        return ("apply", "has not been applied") if changed else ("", "")
    if not active:
        return "start", "does not run"
    if only_reload:
        return "reload", "must read its settings again"
    if must_restart or stale:
        return again, "runs with older settings"
    if found.get("enabled") not in ("enabled", "enabled-runtime"):
        return "", "does not start at boot"
    return "", ""


def _digest(file: File) -> str:
    return hashlib.sha256(file.content.encode()).hexdigest()
