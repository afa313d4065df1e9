"""The lab's networks: one bridge for each plane in a switch namespace, and nothing that leads out of it.

Three namespaces belong to the lab itself: `<cloud>-sw` holds the bridges and no address at all; `<cloud>-op`
is where the operator's process stands, with the first address of every plane; `<cloud>-bmc` holds the
addresses of the BMCs. Each machine has one more, made when its power comes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from stockade.cloud.model import Cloud, Host, Plane, Role
from stockade.errors import LabError
from stockade.machines.lab import netns
from stockade.machines.lab.paths import NETNS
from stockade.machines.lab.run import run
from stockade.machines.lab.spec import MachineSpec, Port

BRIDGES = {
    Plane.MANAGEMENT: "mgmt",
    Plane.STORAGE: "stor",
    Plane.TENANT: "tenant",
    Plane.EXTERNAL: "ext",
    Plane.OUT_OF_BAND: "oob",
}
API_NIC = "pub0"
"""The machine's second NIC on the external network. The first one is a port of Open vSwitch and carries the
VMs' traffic; this one carries the host's own address and the external VIP."""
OUT_OF_BAND_NIC = "oob0"

_USER_SPACE_SWITCHED = (Plane.TENANT, Plane.EXTERNAL)
_NAME_MAX = 15  # IFNAMSIZ - 1

_QUIET = {
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.all.autoconf": "0",
    "net.ipv6.conf.default.autoconf": "0",
}
_SWITCH = {
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    # A switch passes frames; it must not show them to a packet filter for routed traffic.
    "net.bridge.bridge-nf-call-iptables": "0",
    "net.bridge.bridge-nf-call-ip6tables": "0",
    "net.bridge.bridge-nf-call-arptables": "0",
}


@dataclass(frozen=True, slots=True)
class Leg:
    """A cable from the switch to one of the lab's own namespaces."""

    switch_port: str
    namespace: str
    nic: str
    bridge: str
    addresses: tuple[str, ...]
    checksums: bool = True
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Everything of the lab's network that exists whether machines are on or off."""

    switch: str
    operator: str
    bmc: str
    bridges: tuple[str, ...]
    legs: tuple[Leg, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All namespaces of the plan."""
        return self.switch, self.operator, self.bmc


def switch_name(cloud: str) -> str:
    """Namespace of the bridges."""
    return f"{cloud}-sw"


def operator_name(cloud: str) -> str:
    """Namespace of the operator."""
    return f"{cloud}-op"


def bmc_name(cloud: str) -> str:
    """Namespace of the BMCs."""
    return f"{cloud}-bmc"


def plan(cloud: Cloud, bmc_addresses: Iterable[str] = ()) -> NetworkPlan:
    """The network of `cloud`, as data. `bmc_addresses` are further BMCs to serve, of machines no longer in the file."""
    operator, bmc = operator_name(cloud.name), bmc_name(cloud.name)
    legs = [
        Leg(
            f"op-{BRIDGES[plane]}",
            operator,
            f"{BRIDGES[plane]}0",
            BRIDGES[plane],
            (_with_prefix(_operator_address(cloud, plane), network.cidr),),
            checksums=plane not in _USER_SPACE_SWITCHED,
            mtu=network.mtu,
        )
        for plane, network in cloud.networks.items()
    ]
    out_of_band = cloud.networks.get(Plane.OUT_OF_BAND)
    if out_of_band:
        own = {str(h.addresses[Plane.OUT_OF_BAND]) for h in cloud.hosts if Plane.OUT_OF_BAND in h.addresses}
        addresses = sorted(own | set(bmc_addresses), key=IPv4Address)
        named = tuple(_with_prefix(IPv4Address(a), out_of_band.cidr) for a in addresses)
        legs.append(Leg("bmc-oob", bmc, "oob0", BRIDGES[Plane.OUT_OF_BAND], named, mtu=out_of_band.mtu))
    return NetworkPlan(
        switch_name(cloud.name), operator, bmc, tuple(BRIDGES[plane] for plane in cloud.networks), tuple(legs)
    )


def ports(cloud: Cloud, host: Host, taken: Iterable[str] = (), *, prefer: Iterable[str] = ()) -> tuple[Port, ...]:
    """The cables of `host`. `taken` are out-of-band addresses other machines have already, `prefer` its own so far.

    A controller has a cable on the out-of-band network too, as it must reach the BMCs while the management network
    is down. Cloud files give no address for it, so the lab finds one.
    """
    made: list[Port] = []
    for plane, network in cloud.networks.items():
        address = host.addresses.get(plane)
        if plane is Plane.OUT_OF_BAND or (address is None and plane not in host.nics):
            continue
        named = _with_prefix(address, network.cidr) if address else None
        nic = host.nics.get(plane, f"{BRIDGES[plane]}0")
        if plane is Plane.EXTERNAL:
            made.append(_port(cloud, host, plane, nic, BRIDGES[plane][:2], None))
            if named:
                made.append(_port(cloud, host, plane, API_NIC, "pu", named))
        else:
            made.append(_port(cloud, host, plane, nic, BRIDGES[plane][:2], named))
    if Role.CONTROLLER in host.roles and Plane.OUT_OF_BAND in cloud.networks:
        own = [IPv4Address(address) for address in prefer]
        free = own[0] if own else _free_address(cloud, Plane.OUT_OF_BAND, taken)
        named = _with_prefix(free, cloud.networks[Plane.OUT_OF_BAND].cidr)
        made.append(_port(cloud, host, Plane.OUT_OF_BAND, OUT_OF_BAND_NIC, "oo", named))
    return tuple(made)


def ensure(wanted: NetworkPlan) -> None:
    """Make what is missing of `wanted`; what is there is left alone."""
    existing = namespaces()
    for name in wanted.namespaces:
        if name not in existing:
            add_namespace(name)
            netns.sysctl(name, _SWITCH if name == wanted.switch else _QUIET)
            batch(name, ["link set lo up"])
    links = link_names(wanted.switch)
    batch(wanted.switch, bridge_commands(tuple(b for b in wanted.bridges if b not in links)))
    for leg in wanted.legs:
        if leg.switch_port not in links:
            batch(wanted.switch, [veth_command(leg, f"netns {leg.namespace}")])
            if not leg.checksums:
                netns.checksums_off(leg.namespace, (leg.nic,))
        batch(wanted.switch, [f"link set {leg.switch_port} master {leg.bridge}", f"link set {leg.switch_port} up"])
        assigned = [f"address replace {address} dev {leg.nic}" for address in leg.addresses]
        batch(leg.namespace, [f"link set {leg.nic} up", *assigned])


def bridge_commands(names: tuple[str, ...]) -> list[str]:
    """`ip` commands that make bridges called `names`: no spanning tree, no listening delay, no snooping."""
    options = "stp_state 0 forward_delay 0 mcast_snooping 0"
    return [c for n in names for c in (f"link add {n} type bridge {options}", f"link set {n} up")]


def veth_command(cable: Port | Leg, far_end: str) -> str:
    """`ip` command that makes `cable`, with `far_end` saying more about the end that is not the switch's."""
    mtu = f"mtu {cable.mtu}"
    return f"link add {cable.switch_port} {mtu} type veth peer name {cable.nic} {mtu} {far_end}"


def plug_in(spec: MachineSpec, *, unplugged: frozenset[str] = frozenset()) -> None:
    """Give `spec` a fresh namespace with its NICs, cabled to the switch."""
    add_namespace(spec.namespace)
    netns.sysctl(spec.namespace, _QUIET)
    switch, inside, up = [], ["link set lo up"], []
    for port in spec.ports:
        switch.append(veth_command(port, f"address {port.mac} netns {spec.namespace}"))
        switch.append(f"link set {port.switch_port} master {port.bridge}")
        if port.address:
            inside.append(f"address add {port.address} dev {port.nic}")
        inside.append(f"link set {port.nic} up")
        if port.switch_port not in unplugged:
            up.append(f"link set {port.switch_port} up")
    name = switch_name(spec.cloud)
    batch(name, switch)
    netns.checksums_off(spec.namespace, tuple(port.nic for port in spec.ports if not port.checksums))
    batch(spec.namespace, inside)
    batch(name, up)


def drop_ports(spec: MachineSpec) -> None:
    """Take the link from every port of `spec`, at once: from here on nothing it sends gets out."""
    name = switch_name(spec.cloud)
    if (NETNS / name).exists():
        batch(name, drop_commands(spec), force=True)


def drop_commands(spec: MachineSpec) -> list[str]:
    """`ip` commands that take the link from every port of `spec`."""
    return [f"link set {port.switch_port} down" for port in spec.ports]


def unplug(spec: MachineSpec) -> None:
    """Take `spec`'s cables and namespace away, as far as they are there."""
    name = switch_name(spec.cloud)
    if (NETNS / name).exists():
        batch(name, [f"link delete {port.switch_port}" for port in spec.ports], force=True)
    if spec.namespace in namespaces():
        run(["ip", "netns", "delete", spec.namespace])


def remove(cloud: str) -> None:
    """Take the lab's own namespaces away, and with them the bridges and legs."""
    existing = namespaces()
    for name in (switch_name(cloud), operator_name(cloud), bmc_name(cloud)):
        if name in existing:
            run(["ip", "netns", "delete", name])


def batch(namespace: str, commands: Iterable[str], *, force: bool = False) -> None:
    """Run `ip` commands in `namespace`, in one process; with `force`, failures are passed over."""
    lines = "".join(f"{command}\n" for command in commands)
    if lines:
        flags = ["-force"] if force else []
        run(["ip", *flags, "-n", namespace, "-batch", "-"], stdin=lines, check=not force)


def namespaces() -> frozenset[str]:
    """Names `ip netns` knows and that really are namespaces (a killed `ip netns add` leaves a plain file)."""
    if not NETNS.is_dir():
        return frozenset()
    outside = NETNS.stat().st_dev
    return frozenset(path.name for path in NETNS.iterdir() if path.stat().st_dev != outside)


def add_namespace(name: str) -> None:
    """Make namespace `name`; the file of one that was never finished, or not made by us today, gives way."""
    (NETNS / name).unlink(missing_ok=True)
    run(["ip", "netns", "add", name])


def link_names(namespace: str) -> frozenset[str]:
    """Interfaces of `namespace`."""
    found = json.loads(run(["ip", "-n", namespace, "-j", "link", "show"]) or "[]")
    return frozenset(link["ifname"] for link in found)


def _port(cloud: Cloud, host: Host, plane: Plane, nic: str, short: str, address: str | None) -> Port:
    name = f"{short}-{host.name}"
    digest = hashlib.sha256(f"{cloud.name}/{host.name}/{nic}".encode()).hexdigest()
    if len(name) > _NAME_MAX:
        name = f"{name[:8]}.{digest[:6]}"
    mac = ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])
    plain = plane not in _USER_SPACE_SWITCHED
    return Port(name, nic, BRIDGES[plane], mac, address, checksums=plain, mtu=cloud.networks[plane].mtu)


def _operator_address(cloud: Cloud, plane: Plane) -> IPv4Address:
    network = cloud.networks[plane]
    address = network.gateway or network.cidr.network_address + 1
    for host in cloud.hosts:
        if host.addresses.get(plane) == address:
            raise LabError(
                f"{address} belongs to {host.name}, but in the lab it is the operator's own address on the"
                f" {plane} network\n  next: give {host.name} another address"
            )
    return address


def _free_address(cloud: Cloud, plane: Plane, taken: Iterable[str]) -> IPv4Address:
    """The highest address of `plane` that nobody has."""
    network = cloud.networks[plane]
    used = {host.addresses.get(plane) for host in cloud.hosts} | {IPv4Address(address) for address in taken}
    used |= {network.vip, _operator_address(cloud, plane)}
    for number in range(int(network.cidr.broadcast_address) - 1, int(network.cidr.network_address), -1):
        if IPv4Address(number) not in used:
            return IPv4Address(number)
    raise LabError(f"the {plane} network {network.cidr} is full\n  next: give it a larger cidr")


def _with_prefix(address: IPv4Address, cidr: IPv4Network) -> str:
    return f"{address}/{cidr.prefixlen}"
