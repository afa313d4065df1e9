"""What a cloud that is right may still be told: single points of failure, and what each majority survives.

Everything here is known from the file alone. What only the machines know is for `stockade preflight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from stockade.cloud.model import (
    Cloud,
    GuardPolicy,
    HaProfile,
    Host,
    MachineKind,
    Plane,
    Role,
    Segmentation,
    Writers,
    names,
)
from stockade.cloud.timers import silent_backend_s, timers

COPIES, MIN_COPIES = 3, 2
"""Ceph's pool size and min_size: three copies, writes as long as two can be reached."""
MANY_CONTROLLERS = 7
"""Above this each write waits for more members than it gains in safety."""
LAB_WORKERS = 2
"""Per API; three controllers with some 15 APIs at about 100 MB a process fill 12 GiB soon after."""
VXLAN_OVERHEAD = 50


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """A promise of Stockade does not hold on this cloud."""
    WARNING = "warning"
    """It holds, with less margin or later than it could."""
    INFO = "info"
    """Good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `stockade check` says."""

    severity: Severity
    sentence: str
    fix: str
    """What to do about it; for information, what would change it."""


def check(cloud: Cloud) -> tuple[Finding, ...]:
    """All findings about `cloud`, the gravest first."""
    found = [finding for look in CHECKS for finding in look(cloud)]
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def majority(cloud: Cloud) -> Iterable[Finding]:
    """How many controllers may be lost."""
    count = len(cloud.controllers)
    lost = (count - 1) // 2
    yield Finding(
        Severity.INFO,
        f"{count} controllers: any {lost} may be lost at once; the {count - lost} left are a majority, so "
        "database, messaging, etcd and Ceph monitors go on.",
        f"{count + 2} controllers would survive {lost + 1}.",
    )
    if count > MANY_CONTROLLERS:
        yield Finding(
            Severity.WARNING,
            f"{count} controllers: each write waits for {count // 2 + 1} of them.",
            "Use 5 or 7 and give the rest other roles.",
        )


def copies(cloud: Cloud) -> Iterable[Finding]:
    """How many storage hosts may be lost."""
    count = len(cloud.storage_hosts)
    if count == COPIES:
        yield Finding(
            Severity.INFO,
            f"{count} storage hosts for {COPIES} copies: with one lost, reads and writes go on with "
            f"{MIN_COPIES} copies, but the third can only be remade when it is back; with a second lost, "
            "writes stop.",
            f"With {COPIES + 1} storage hosts Ceph restores the third copy by itself.",
        )
    else:
        yield Finding(
            Severity.INFO,
            f"{count} storage hosts for {COPIES} copies: one may be lost at a time, and Ceph restores the "
            "third copy by itself if the others have room for it.",
            f"Keep 1/{count} of the space free.",
        )


def shared_hosts(cloud: Cloud) -> Iterable[Finding]:
    """Roles that suffer when a host is fenced for its VMs."""
    storing = names(host for host in cloud.computes if Role.STORAGE in host.roles)
    if storing:
        yield Finding(
            Severity.WARNING,
            f"Hosts that store and run VMs ({_list(storing)}): fencing one for its VMs takes its disks from "
            "Ceph too, a storage rebuild competes with VMs for memory, and a blocklist of its address is "
            "no proof that its VMs stopped.",
            "Give storage and VMs hosts of their own, or make sure the BMCs work.",
        )
    controlling = names(host for host in cloud.computes if Role.CONTROLLER in host.roles)
    if controlling:
        yield Finding(
            Severity.WARNING,
            f"Hosts that control and run VMs ({_list(controlling)}): fencing one for its VMs takes a "
            "controller too, and VMs that need memory or cores slow the APIs.",
            "Give VMs hosts of their own.",
        )


def room(cloud: Cloud) -> Iterable[Finding]:
    """Whether VMs of a dead host have somewhere to go."""
    yield Finding(
        Severity.WARNING,
        "This version moves no VM when its compute dies; what `guard` says has no effect yet.",
        "Until then: the guide to operating, under `A compute dies`, has the safe order of steps.",
    )
    count, reserve = len(cloud.computes), cloud.guard.reserve_hosts
    if count == 1:
        yield Finding(
            Severity.ERROR,
            f"{cloud.computes[0].name} is the only compute: when it dies, no VM can be recovered.",
            "Add a compute.",
        )
    elif reserve == 0:
        yield Finding(
            Severity.WARNING,
            f"Nothing of {count} computes is kept in reserve: on a full cloud, VMs of a dead host wait for room.",
            "Set guard.reserve_hosts to 1.",
        )


def fences(cloud: Cloud) -> Iterable[Finding]:
    """Whether a silent host can be made a dead one."""
    without = names(host for host in cloud.hosts if host.bmc is None)
    if len(without) == len(cloud.hosts):
        yield Finding(
            Severity.ERROR,
            "No host has a BMC: the only proof that a silent host is dead is its own watchdog, and a host "
            "that never showed that its watchdog resets it cannot be recovered from at all.",
            "Give every host a bmc, computes first.",
        )
    elif without:
        yield Finding(
            Severity.WARNING,
            f"Hosts without a BMC ({_list(without)}): recovery waits for the bound of the host's watchdog, "
            "and does not happen if the watchdog was never shown to work.",
            "Give them a bmc, computes first.",
        )
    plain = names(host for host in cloud.hosts if host.bmc and urlsplit(host.bmc.url).scheme == "http")
    if plain:
        yield Finding(
            Severity.WARNING,
            f"BMCs spoken to without TLS ({_list(plain)}): who listens can cut their power.",
            "Use https, with ca_file if the BMC signs its own certificate.",
        )
    nameless = names(host for host in cloud.hosts if host.bmc and not host.bmc.serial)
    if nameless:
        yield Finding(
            Severity.INFO,
            f"BMCs not tied to a serial number ({_list(nameless)}): nothing notices when two are swapped.",
            "Give bmc.serial, from the machine's label: preflight then compares it.",
        )


def separate_fences(cloud: Cloud) -> Iterable[Finding]:
    """A fence that fails together with what it fences is none."""
    management = cloud.networks[Plane.MANAGEMENT].cidr
    inside = names(host for host in cloud.hosts if (address := _bmc_address(host)) and address in management)
    if inside:
        yield Finding(
            Severity.WARNING,
            f"BMCs on the management network ({_list(inside)}): one dead switch hides a host and its BMC alike.",
            "Put BMCs on switches of their own.",
        )


def separate_planes(cloud: Cloud) -> Iterable[Finding]:
    """Evidence on two networks is one piece of evidence if both are one wire."""
    planes = (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT)
    single = names(host for host in cloud.hosts if len({host.nics[plane].split(".")[0] for plane in planes}) == 1)
    if single:
        yield Finding(
            Severity.WARNING,
            f"Management, storage and tenant on one NIC ({_list(single)}): they fail together, so a host "
            "that lost a cable looks like a dead one, and is fenced.",
            "Use at least two NICs, or a bond over two switches.",
        )


def outside(cloud: Cloud) -> Iterable[Finding]:
    """Whether VMs and users meet."""
    external = cloud.networks[Plane.EXTERNAL]
    if external.gateway is None:
        yield Finding(
            Severity.WARNING,
            "networks.external has no gateway: VMs with floating addresses reach only that network.",
            "Give networks.external.gateway.",
        )
    if external.pool is None:
        yield Finding(
            Severity.WARNING,
            "networks.external has no pool: VMs get no floating addresses.",
            "Give networks.external.pool, or make external networks yourself.",
        )
    tenant = cloud.networks[Plane.TENANT]
    if tenant.segmentation is Segmentation.VXLAN and tenant.mtu < external.mtu + VXLAN_OVERHEAD:
        yield Finding(
            Severity.INFO,
            f"VXLAN takes {VXLAN_OVERHEAD} bytes of each packet: tenant networks have an MTU of "
            f"{tenant.mtu - VXLAN_OVERHEAD}.",
            f"Set networks.tenant.mtu to {external.mtu + VXLAN_OVERHEAD} or more if your switches carry it.",
        )


def speed(cloud: Cloud) -> Iterable[Finding]:
    """Whether the timers fit the machines."""
    lab = cloud.machines is MachineKind.LAB
    slow = f"a frozen API is used for up to {silent_backend_s(timers(cloud.ha_profile)):g} s."
    if lab and cloud.ha_profile is HaProfile.FAST:
        yield Finding(
            Severity.WARNING,
            "ha_profile fast in a lab: where machines share few cores, a busy host is taken for a dead one.",
            "Use small, unless this computer has two cores or more per machine.",
        )
    elif lab and cloud.ha_profile is HaProfile.SAFE:
        yield Finding(
            Severity.INFO,
            f"ha_profile safe in a lab: {slow}",
            "Use small to notice failures sooner.",
        )
    elif not lab and cloud.ha_profile is HaProfile.SMALL:
        yield Finding(
            Severity.WARNING,
            f"ha_profile small on servers: {slow}",
            "Use fast on servers with cores to spare, safe on others.",
        )
    elif not lab and cloud.ha_profile is HaProfile.SAFE:
        yield Finding(
            Severity.INFO,
            f"ha_profile safe: {slow}",
            "Use fast on servers with cores to spare on a quiet LAN.",
        )
    if lab and (cloud.api_workers or 0) > LAB_WORKERS:
        yield Finding(
            Severity.WARNING,
            f"tuning.api_workers {cloud.api_workers} in a lab: each worker of each API on each controller "
            "holds about 100 MB of this computer.",
            f"Use 1 or {LAB_WORKERS}.",
        )


def settings(cloud: Cloud) -> Iterable[Finding]:
    """Choices with a price."""
    if cloud.writers is Writers.ALL:
        yield Finding(
            Severity.WARNING,
            "database.writers all: two writes to one row on two nodes end in error 1213 for one of them, "
            "and not every service tries again.",
            "Use one, unless you measured that the writer is the bottleneck.",
        )
    if cloud.guard.default is GuardPolicy.NONE:
        yield Finding(
            Severity.INFO,
            "guard.default none: a VM is recovered only if it says so itself.",
            "Use pet to recover all that do not say otherwise.",
        )
    if cloud.certificate is None:
        yield Finding(
            Severity.INFO,
            f"The cloud's own CA signs the certificate of {cloud.external_name}: clients must be given that CA.",
            "Give tls.certificate and tls.key to use one of yours.",
        )


def disks(cloud: Cloud) -> Iterable[Finding]:
    """Disks that are files cost twice."""
    if cloud.machines is MachineKind.LAB:
        return
    filed = names(host for host in cloud.storage_hosts if any(disk.startswith("file:") for disk in host.osd_disks))
    if filed:
        yield Finding(
            Severity.WARNING,
            f"Hosts that store in files ({_list(filed)}): slow, and lost with the system disk.",
            "Give whole disks.",
        )


CHECKS: tuple[Callable[[Cloud], Iterable[Finding]], ...] = (
    room,
    fences,
    separate_fences,
    separate_planes,
    shared_hosts,
    outside,
    speed,
    settings,
    disks,
    majority,
    copies,
)
"""Every look that `check` takes."""


def _bmc_address(host: Host) -> IPv4Address | None:
    try:
        return IPv4Address(urlsplit(host.bmc.url).hostname or "") if host.bmc else None
    except AddressValueError:
        return None


def _list(words: tuple[str, ...]) -> str:
    shown = 5
    if len(words) > shown:
        return f"{', '.join(words[:shown])} and {len(words) - shown} more"
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
