"""What stands in for each key that is not given, and the finished `Cloud`.

In two steps, since a file may be well formed and still wrong: `draft` fills in what can be filled in,
`rules` judge the draft, and only a draft without fault becomes a `Cloud` by `finish`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

from stockade.cloud.file import CloudFile
from stockade.cloud.file_hosts import BmcSection, HostSection, SshSection
from stockade.cloud.model import (
    BmcAddress,
    Cloud,
    Guard,
    HaProfile,
    Host,
    MachineKind,
    Network,
    Plane,
    Role,
    Segmentation,
    Ssh,
)
from stockade.cloud.paths import state_dir
from stockade.cloud.section import Section

S = TypeVar("S", bound=Section)

LAB_CIDRS: Mapping[Plane, IPv4Network] = {
    plane: IPv4Network(f"10.77.{third}.0/24") for third, plane in enumerate(Plane)
}
"""A lab's networks; nothing outside the lab ever sees them."""
LAB_NICS: Mapping[Plane, str] = {
    Plane.MANAGEMENT: "mgmt0",
    Plane.STORAGE: "stor0",
    Plane.TENANT: "tenant0",
    Plane.EXTERNAL: "ext0",
}
"""What the lab calls the NICs of its machines."""
LAB_OSD_DISKS = ("file:8G",)
LAB_VLANS = (100, 199)
LAB_API_WORKERS = 1
"""Five machines share this computer, and each worker of some 15 APIs holds about 100 MB."""
FIRST_CONTROLLER = 11
FIRST_OTHER = 31
VIP_NUMBER = 10
GATEWAY_NUMBER = 1
POOL_NUMBERS = (100, 199)
DEFAULT_MTU = 1500


@dataclass(frozen=True, slots=True)
class Draft:
    """A file with its defaults filled in where there are any. Nothing in it is known to be right yet."""

    file: CloudFile
    networks: Mapping[Plane, Network]
    """The planes whose `cidr` is known."""
    numbers: Mapping[str, int]
    """Number by host; in a lab every host has one."""
    addresses: Mapping[str, Mapping[Plane, IPv4Address]]
    """By host, the addresses that are known."""

    @property
    def lab(self) -> bool:
        """True if the machines are made on this computer."""
        return self.file.machines is MachineKind.LAB

    def with_role(self, role: Role) -> tuple[str, ...]:
        """Names of the hosts playing `role`."""
        return tuple(name for name, host in self.file.hosts.items() if role in host.roles)

    def ssh(self, host: str) -> SshSection:
        """The host's own SSH settings over those of all hosts."""
        return _over(self.file.hosts[host].ssh, self.file.host_defaults.ssh)

    def nics(self, host: str) -> Mapping[Plane, str]:
        """The host's own NIC names over those of all hosts."""
        if self.lab:
            return LAB_NICS
        nics = _over(self.file.hosts[host].nics, self.file.host_defaults.nics)
        return {plane: nic for plane in LAB_NICS if (nic := getattr(nics, plane)) is not None}

    def bmc(self, host: str) -> BmcSection | None:
        """The host's own BMC settings over those of all hosts; None if it is said to have none."""
        own = self.file.hosts[host].bmc
        if own == "none":
            return None
        assert own is None or isinstance(own, BmcSection)
        return _over(own or BmcSection(), self.file.host_defaults.bmc)

    def osd_disks(self, host: str) -> tuple[str, ...]:
        """The host's disks for Ceph; none if it does not store."""
        section = self.file.hosts[host]
        if Role.STORAGE not in section.roles:
            return ()
        default = LAB_OSD_DISKS if self.lab else ()
        return tuple(section.osd_disks or self.file.host_defaults.osd_disks) or default


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file was found: what its relative paths and `~` mean."""

    source: Path | None
    directory: Path
    home: Path

    def path(self, text: str) -> Path:
        """The file `text` names."""
        path = Path(text)
        if path.parts[:1] == ("~",):
            return self.home.joinpath(*path.parts[1:])
        return self.directory / path


def draft(file: CloudFile) -> Draft:
    """`file` with every default filled in that can be. Never raises."""
    networks = {plane: network for plane in Plane if (network := _network(file, plane))}
    numbers = _numbers(file)
    addresses = {
        name: _addresses(host, numbers.get(name), networks, lab=file.machines is MachineKind.LAB)
        for name, host in file.hosts.items()
    }
    return Draft(file, networks, numbers, addresses)


def finish(draft: Draft, place: Place) -> Cloud:
    """The cloud that a faultless `draft` describes."""
    file, lab = draft.file, draft.lab
    computes = len(draft.with_role(Role.COMPUTE))
    reserve = file.guard.reserve_hosts
    return Cloud(
        name=file.name,
        machines=file.machines,
        hosts=tuple(_host(draft, name, place) for name in file.hosts),
        networks=dict(draft.networks),
        ha_profile=file.ha_profile or (HaProfile.SMALL if lab else HaProfile.FAST),
        volume_mode=file.volumes.mode,
        writers=file.database.writers,
        api_workers=file.tuning.api_workers or (LAB_API_WORKERS if lab else None),
        region=file.region,
        vrid=file.vrid or default_vrid(file.name),
        external_name=file.tls.name or str(draft.networks[Plane.EXTERNAL].vip),
        certificate=_maybe(place.path, file.tls.certificate),
        certificate_key=_maybe(place.path, file.tls.key),
        options={
            service: {name: dict(it) for name, it in sections.items()} for service, sections in file.options.items()
        },
        guard=Guard(file.guard.default, min(1, computes - 1) if reserve is None else reserve),
        source=place.source,
    )


def default_vrid(name: str) -> int:
    """A VRRP router id that two clouds of different names seldom share, and one cloud never changes."""
    return zlib.crc32(name.encode()) % 254 + 1


def at(network: IPv4Network, number: int) -> IPv4Address | None:
    """Address `number` of `network`, beyond its end too (a rule refuses that); None where IPv4 ends."""
    try:
        return IPv4Address(int(network.network_address) + number)
    except AddressValueError:
        return None


def _network(file: CloudFile, plane: Plane) -> Network | None:
    section = getattr(file.networks, plane)
    lab = file.machines is MachineKind.LAB
    cidr: IPv4Network | None = section.cidr or (LAB_CIDRS[plane] if lab else None)
    if cidr is None:
        return None
    vip, gateway, pool, vlans = (getattr(section, key, None) for key in ("vip", "gateway", "pool", "vlans"))
    segmentation = getattr(section, "segmentation", None)
    if lab and plane in (Plane.MANAGEMENT, Plane.EXTERNAL):
        vip = vip or at(cidr, VIP_NUMBER)
    if lab and plane is Plane.EXTERNAL:
        gateway = gateway or at(cidr, GATEWAY_NUMBER)
        first, last = (at(cidr, number) for number in POOL_NUMBERS)
        pool = pool or (None if first is None or last is None else (first, last))
    if plane is Plane.TENANT:
        segmentation = segmentation or (Segmentation.VLAN if lab else Segmentation.VXLAN)
        if lab and segmentation is Segmentation.VLAN:
            vlans = vlans or LAB_VLANS
    mtu = section.mtu or DEFAULT_MTU
    return Network(plane, cidr, vip, gateway, pool, segmentation or Segmentation.VXLAN, vlans, mtu)


def _numbers(file: CloudFile) -> dict[str, int]:
    numbers = {name: host.number for name, host in file.hosts.items() if host.number is not None}
    if file.machines is not MachineKind.LAB:
        return numbers
    taken = set(numbers.values())
    for name, host in file.hosts.items():
        if name not in numbers:
            number = FIRST_CONTROLLER if Role.CONTROLLER in host.roles else FIRST_OTHER
            while number in taken:
                number += 1
            taken.add(number)
            numbers[name] = number
    return {name: numbers[name] for name in file.hosts}


def _addresses(
    host: HostSection, number: int | None, networks: Mapping[Plane, Network], *, lab: bool
) -> dict[Plane, IPv4Address]:
    result: dict[Plane, IPv4Address] = {}
    for plane, network in networks.items():
        own: IPv4Address | None = getattr(host.addresses, plane)
        numbered = at(network.cidr, number) if number is not None and (lab or plane is not Plane.OUT_OF_BAND) else None
        address = own or numbered
        if address is not None:
            result[plane] = address
    return result


def _host(draft: Draft, name: str, place: Place) -> Host:
    addresses = dict(draft.addresses[name])
    lab_ssh, lab_bmc = _lab_access(draft.file.name, name, addresses) if draft.lab else (None, None)
    return Host(
        name=name,
        roles=frozenset(draft.file.hosts[name].roles),
        addresses=addresses,
        nics=dict(draft.nics(name)),
        ssh=lab_ssh or _ssh(draft, name, place),
        bmc=lab_bmc or _bmc(draft, name, place),
        osd_disks=draft.osd_disks(name),
    )


def _lab_access(cloud: str, host: str, addresses: Mapping[Plane, IPv4Address]) -> tuple[Ssh, BmcAddress]:
    state = state_dir(cloud)
    ssh = Ssh(
        address=str(addresses[Plane.MANAGEMENT]),
        key_file=state / "ssh" / "id_ed25519",
        known_hosts=state / "ssh" / "known_hosts",
    )
    bmc = BmcAddress(
        url=f"https://{addresses[Plane.OUT_OF_BAND]}",
        username="admin",
        password_file=state / "bmc" / f"{host}.password",
        serial=f"{cloud}-{host}",
        ca_file=state / "bmc" / "ca.pem",
    )
    return ssh, bmc


def _ssh(draft: Draft, host: str, place: Place) -> Ssh:
    section = draft.ssh(host)
    return Ssh(
        address=_given(draft.file.hosts[host].address),
        port=section.port or 22,
        user=section.user or "root",
        key_file=_maybe(place.path, section.key_file),
        known_hosts=_maybe(place.path, section.known_hosts),
    )


def _bmc(draft: Draft, host: str, place: Place) -> BmcAddress | None:
    section = draft.bmc(host)
    if section is None:
        return None
    return BmcAddress(
        url=_given(section.url),
        username=_given(section.username),
        password_file=place.path(_given(section.password_file)),
        serial=section.serial or "",
        ca_file=_maybe(place.path, section.ca_file),
    )


def _over(own: S, shared: Section) -> S:
    """`own`, with what it leaves out taken from `shared`."""
    return own.model_copy(update={key: value for key, value in shared if getattr(own, key) is None})


def _maybe(make: Callable[[str], Path], text: str | None) -> Path | None:
    return None if text is None else make(text)


def _given(text: str | None) -> str:
    if text is None:
        raise ValueError("finish() was given a draft that the rules refuse")
    return text
