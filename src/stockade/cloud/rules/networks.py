"""The networks by themselves: their ranges, virtual addresses, gateway, pool and VLANs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from stockade.cloud.document import Wrong
from stockade.cloud.model import Network, Plane, Segmentation
from stockade.cloud.resolve import Draft
from stockade.cloud.rules.rule import Rule

SMALLEST_PREFIX, LARGEST_PREFIX = 8, 28
"""A /28 has 14 addresses: the smallest cloud needs six hosts' worth, a virtual address and a gateway."""
VIP_PLANES = (Plane.MANAGEMENT, Plane.EXTERNAL)
NEEDED = (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT, Plane.EXTERNAL)
UNUSABLE = tuple(
    IPv4Network(cidr) for cidr in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)
"""This network, loopback, link-local (Neutron's own HA routers use it), multicast, reserved."""


def given(draft: Draft) -> Iterable[Wrong]:
    """Where servers are wired to is known to their operator only."""
    for plane in NEEDED:
        if plane not in draft.networks:
            fix = f"name the network that the servers' {plane} NICs are on, like 10.0.0.0/24"
            yield Wrong(("networks", str(plane), "cidr"), "is missing", fix)


def vips_given(draft: Draft) -> Iterable[Wrong]:
    """Which address is free is known to the operator only."""
    for plane in VIP_PLANES:
        network = draft.networks.get(plane)
        if network and network.vip is None:
            fix = f"choose an address in {network.cidr} that nothing else uses"
            yield Wrong(("networks", str(plane), "vip"), "is missing", fix)


def usable(draft: Draft) -> Iterable[Wrong]:
    """Some ranges mean something else, and some are too small."""
    for plane, network in draft.networks.items():
        path = ("networks", str(plane), "cidr")
        taken = next((other for other in UNUSABLE if other.overlaps(network.cidr)), None)
        if taken:
            fix = "use a network of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, or one that is yours"
            what = f"{network.cidr} is not for machines: the standards set {taken} apart"
            yield Wrong(path, what, fix)
        elif network.cidr.prefixlen > LARGEST_PREFIX:
            yield Wrong(path, f"{network.cidr} has too few addresses", f"use /{LARGEST_PREFIX} or larger, like a /24")
        elif network.cidr.prefixlen < SMALLEST_PREFIX:
            yield Wrong(path, f"{network.cidr} is half the internet", f"use /{SMALLEST_PREFIX} or smaller, like a /24")


def overlaps(draft: Draft) -> Iterable[Wrong]:
    """An address must say which network it is on."""
    for (first, a), (second, b) in combinations(draft.networks.items(), 2):
        if a.cidr.overlaps(b.cidr):
            what = f"{b.cidr} overlaps {first} {a.cidr}"
            yield Wrong(("networks", str(second), "cidr"), what, "give each network a range of its own")


def _misfit(address: IPv4Address, network: Network) -> tuple[str, str] | None:
    """Why `address` cannot be used by a machine on `network`."""
    cidr = network.cidr
    use = f"use one from {cidr[1]} to {cidr[-2]}" if cidr.num_addresses > 2 else "use a larger network"
    if address not in cidr:
        return f"{address} is not in {network.plane} {cidr}", use
    if address == cidr.network_address:
        return f"{address} is the address of the network itself", use
    if address == cidr.broadcast_address:
        return f"{address} is the broadcast address of {cidr}", use
    return None


def singles_fit(draft: Draft) -> Iterable[Wrong]:
    """A virtual address or gateway outside its network would never be answered."""
    for plane, network in draft.networks.items():
        for key, address in (("vip", network.vip), ("gateway", network.gateway)):
            misfit = _misfit(address, network) if address else None
            if misfit:
                yield Wrong(("networks", str(plane), key), *misfit)
        if network.vip and network.vip == network.gateway:
            path = ("networks", str(plane), "vip")
            yield Wrong(path, f"{network.vip} is also the gateway", "choose an address that nothing else uses")


def pool_fits(draft: Draft) -> Iterable[Wrong]:
    """Floating addresses are answered for on the external network, so they must be of it and free."""
    network = draft.networks.get(Plane.EXTERNAL)
    if not network or not network.pool:
        return
    path = ("networks", str(Plane.EXTERNAL), "pool")
    first, last = network.pool
    if _misfit(first, network) or _misfit(last, network):
        what = f"{first}-{last} holds addresses that external {network.cidr} has not"
        yield Wrong(path, what, f"stay within {network.cidr[1]}-{network.cidr[-2]}")
    for what, address in (("virtual address", network.vip), ("gateway", network.gateway)):
        if address and first <= address <= last:
            yield Wrong(path, f"{first}-{last} holds the {what} {address}", "begin the pool after it or end it before")


def vlans_fit(draft: Draft) -> Iterable[Wrong]:
    """VLAN ids are needed with vlan, and mean nothing with vxlan."""
    network = draft.networks.get(Plane.TENANT)
    if not network:
        return
    path = ("networks", str(Plane.TENANT), "vlans")
    if network.segmentation is Segmentation.VLAN and network.vlans is None:
        yield Wrong(path, "is missing", "name the VLAN ids your switches carry to all hosts, like 100-199")
    if network.segmentation is Segmentation.VXLAN and network.vlans is not None:
        yield Wrong(path, "has no meaning with segmentation vxlan", "take it out, or write `segmentation: vlan`")


RULES = (
    Rule(
        "Servers' networks are given, except out_of_band.",
        given,
        ("machines", "networks.@", "networks.@.cidr"),
    ),
    Rule("Servers' virtual addresses are given.", vips_given, ("machines", "networks.@.cidr", "networks.@.vip")),
    Rule(
        "Networks are ordinary ones, from /8 to /28.",
        usable,
        ("machines", "networks.@.cidr"),
    ),
    Rule("No two networks overlap.", overlaps, ("machines", "networks.*.cidr")),
    Rule(
        "Virtual addresses and the gateway are usable addresses of their network, and not the same.",
        singles_fit,
        ("machines", "networks.@.cidr", "networks.@.vip", "networks.@.gateway"),
    ),
    Rule(
        "The pool lies in the external network and holds neither virtual address nor gateway.",
        pool_fits,
        ("machines", "networks.external"),
    ),
    Rule(
        "VLAN ids are given with segmentation vlan, and only then.",
        vlans_fit,
        ("machines", "networks.tenant"),
    ),
)
