"""Which hosts do what, and whether there are enough of each."""

from __future__ import annotations

from collections.abc import Iterable

from stockade.cloud.document import Wrong
from stockade.cloud.model import Role
from stockade.cloud.resolve import Draft
from stockade.cloud.rules.rule import Rule
from stockade.cloud.scalars import show

MIN_CONTROLLERS = 3
MIN_STORAGE = 3
"""Ceph keeps three copies of everything, each on another host."""

_EVERY = ("hosts", "hosts.*.roles")


def hosts_given(draft: Draft) -> Iterable[Wrong]:
    """There is at least one host."""
    if not draft.file.hosts:
        yield Wrong(("hosts",), "there are no hosts", "give at least 3 controllers, 3 storage hosts and 1 compute")


def roles_given(draft: Draft) -> Iterable[Wrong]:
    """A host without a role would be idle; a role named twice was meant to be another."""
    for name, host in draft.file.hosts.items():
        path = ("hosts", name, "roles")
        if not host.roles:
            yield Wrong(path, "has no role", "use controller, storage or compute")
        for role in dict.fromkeys(role for role in host.roles if host.roles.count(role) > 1):
            yield Wrong(path, f"{role} is named twice", "name it once")


def controllers(draft: Draft) -> Iterable[Wrong]:
    """Database, messaging, etcd and Ceph monitors each go by majority, so count as they do."""
    count = len(draft.with_role(Role.CONTROLLER))
    if count < MIN_CONTROLLERS:
        what = {0: "there is no controller", 1: "there is 1 controller"}.get(count, f"there are {count} controllers")
        fix = "use 3: of fewer, losing one loses the majority that database, messaging and etcd go by"
        if draft.file.hosts:
            yield Wrong(("hosts",), what, fix)
    elif count % 2 == 0:
        survive = (count - 1) // 2
        what = f"there are {count} controllers, an even number"
        fix = f"use {count - 1} or {count + 1}: {count} survive the loss of {survive}, as {count - 1} do"
        yield Wrong(("hosts",), what, fix)


def storage(draft: Draft) -> Iterable[Wrong]:
    """Ceph keeps three copies, each on another host."""
    count = len(draft.with_role(Role.STORAGE))
    if count < MIN_STORAGE and draft.file.hosts:
        what = {0: "there is no storage host", 1: "there is 1 storage host"}.get(
            count, f"there are {count} storage hosts"
        )
        fix = "use 3 or more: Ceph keeps 3 copies, each on another host; controllers may store too"
        yield Wrong(("hosts",), what, fix)


def computes(draft: Draft) -> Iterable[Wrong]:
    """A cloud runs VMs."""
    if draft.file.hosts and not draft.with_role(Role.COMPUTE):
        yield Wrong(
            ("hosts",),
            "there is no compute host",
            "give at least one host the role compute, two to survive one",
        )


def disks_needed(draft: Draft) -> Iterable[Wrong]:
    """A storage host must say which disks it gives to Ceph: they are emptied, so no default would do."""
    for name in draft.with_role(Role.STORAGE):
        if not draft.osd_disks(name):
            fix = "name the disks Ceph may empty, like `osd_disks: [/dev/disk/by-id/nvme-A1]`"
            yield Wrong(("hosts", name, "osd_disks"), "a storage host needs disks", fix)


def disks_fit(draft: Draft) -> Iterable[Wrong]:
    """Disks are for storage hosts, each once, and those of a lab are files."""
    own = [(("hosts", name, "osd_disks"), host.osd_disks) for name, host in draft.file.hosts.items()]
    for path, disks in [*own, (("host_defaults", "osd_disks"), draft.file.host_defaults.osd_disks)]:
        for disk in dict.fromkeys(disks):
            file = disk.startswith("file:")
            if disks.count(disk) > 1:
                what = "is named twice" if not file else "stands here twice, but one file per host is made"
                yield Wrong(path, f"{show(disk)} {what}", "name it once")
            if draft.lab and not file:
                yield Wrong(path, f"{show(disk)} is not in a lab machine", "write the size of a file, like file:8G")


def disks_used(draft: Draft) -> Iterable[Wrong]:
    """Disks named for a host that does not store would be left out without a word."""
    for name, host in draft.file.hosts.items():
        if host.osd_disks and Role.STORAGE not in host.roles:
            fix = "give it the role storage, or take the disks out"
            yield Wrong(("hosts", name, "osd_disks"), "the host does not have the role storage", fix)


RULES = (
    Rule("There is at least one host.", hosts_given, ("hosts",)),
    Rule("Every host has a role, and none twice.", roles_given, ("hosts.@.roles",)),
    Rule("There are 3, 5, 7, ... controllers: all goes by majority.", controllers, _EVERY),
    Rule("There are 3 storage hosts or more: Ceph keeps 3 copies, each on another host.", storage, _EVERY),
    Rule("There is at least one compute.", computes, _EVERY),
    Rule(
        "Every storage host names its disks (a lab has a default).",
        disks_needed,
        ("machines", "hosts.@.roles", "hosts.@.osd_disks", "host_defaults.osd_disks"),
    ),
    Rule("No disk is named twice for a host, and disks of a lab are files.", disks_fit, ("machines",)),
    Rule("Only storage hosts have disks.", disks_used, ("hosts.@.roles",)),
)
