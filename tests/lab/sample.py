"""Small lab clouds, built by hand: the tests of the lab must not depend on the reading of cloud files."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from stockade.cloud.model import (
    BmcAddress,
    Cloud,
    HaProfile,
    Host,
    MachineKind,
    Network,
    Plane,
    Role,
    Segmentation,
    Ssh,
    VolumeMode,
    Writers,
)

PLANES = (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT, Plane.EXTERNAL, Plane.OUT_OF_BAND)
NICS = {Plane.MANAGEMENT: "mgmt0", Plane.STORAGE: "stor0", Plane.TENANT: "tenant0", Plane.EXTERNAL: "ext0"}


def network(plane: Plane, prefix: str, third: int) -> Network:
    """One plane's network below `prefix`."""
    return Network(
        plane,
        IPv4Network(f"{prefix}.{third}.0/24"),
        vip=IPv4Address(f"{prefix}.{third}.10") if plane in (Plane.MANAGEMENT, Plane.EXTERNAL) else None,
        segmentation=Segmentation.VLAN,
        vlans=(100, 199) if plane is Plane.TENANT else None,
    )


def host(cloud: str, prefix: str, name: str, last: int, roles: frozenset[Role]) -> Host:
    """A host whose address ends in `last` on every plane."""
    state = Path("/var/lib/stockade", cloud)
    addresses = {plane: IPv4Address(f"{prefix}.{third}.{last}") for third, plane in enumerate(PLANES)}
    return Host(
        name,
        roles,
        addresses,
        dict(NICS),
        Ssh(
            str(addresses[Plane.MANAGEMENT]),
            key_file=state / "ssh" / "id_ed25519",
            known_hosts=state / "ssh" / "known_hosts",
        ),
        BmcAddress(
            f"https://{addresses[Plane.OUT_OF_BAND]}",
            "admin",
            state / "bmc" / f"{name}.password",
            serial=f"{cloud}-{name}",
            ca_file=state / "bmc" / "ca.pem",
        ),
    )


def cloud(name: str = "lab", prefix: str = "10.77", hosts: Mapping[str, int] | None = None) -> Cloud:
    """A lab cloud; three controllers and two computes unless `hosts` (name: last byte) says otherwise."""
    chosen = hosts or {"ctl1": 11, "ctl2": 12, "ctl3": 13, "cmp1": 31, "cmp2": 32}
    roles = {True: frozenset({Role.CONTROLLER, Role.STORAGE}), False: frozenset({Role.COMPUTE})}
    return Cloud(
        name=name,
        machines=MachineKind.LAB,
        hosts=tuple(host(name, prefix, n, last, roles[last < 30]) for n, last in chosen.items()),
        networks={plane: network(plane, prefix, third) for third, plane in enumerate(PLANES)},
        ha_profile=HaProfile.SMALL,
        volume_mode=VolumeMode.ACTIVE_ACTIVE,
        writers=Writers.ONE,
        api_workers=1,
        region="RegionOne",
        vrid=77,
        external_name=f"{prefix}.3.10",
    )
