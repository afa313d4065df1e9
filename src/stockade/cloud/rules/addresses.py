"""Hosts' addresses: given, in their networks, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from stockade.cloud.document import Path, Wrong
from stockade.cloud.model import Plane, Role
from stockade.cloud.resolve import Draft
from stockade.cloud.rules.networks import LARGEST_PREFIX
from stockade.cloud.rules.rule import Rule, address_path

_READS = ("machines", "networks", "hosts.@.number", "hosts.@.addresses")
_FREE = "choose one that nothing else uses"


def _each(draft: Draft) -> Iterator[tuple[str, Plane, IPv4Address, Path]]:
    for host, addresses in draft.addresses.items():
        for plane, address in addresses.items():
            yield host, plane, address, address_path(draft, host, plane)


def given(draft: Draft) -> Iterable[Wrong]:
    """Servers already have addresses; a number that depends on the order of the file would be a guess."""
    if draft.lab:
        return
    for name, host in draft.file.hosts.items():
        needed = [Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT]
        if Role.CONTROLLER in host.roles:
            needed.append(Plane.EXTERNAL)
        missing = [plane for plane in needed if plane in draft.networks and plane not in draft.addresses[name]]
        if missing:
            what = f"has no address on {', '.join(missing)}"
            fix = "give its number (11 means 10.0.0.11 in 10.0.0.0/24, and so on), or addresses"
            yield Wrong(("hosts", name), what, fix)


def inside(draft: Draft) -> Iterable[Wrong]:
    """An address outside its network is answered by nobody."""
    said: set[Path] = set()
    for host, plane, address, path in _each(draft):
        cidr = draft.networks[plane].cidr
        if cidr.prefixlen > LARGEST_PREFIX:  # a rule about networks says so once
            continue
        if path in said or (address in cidr and address not in (cidr.network_address, cidr.broadcast_address)):
            continue
        said.add(path)
        number = draft.numbers.get(host)
        place = "is the broadcast address of" if address == cidr.broadcast_address else "is outside"
        place = "is the network itself in" if address == cidr.network_address else place
        if path[-1] == "number":
            fix = f"use 1 to {cidr.num_addresses - 2}, a larger network, or addresses"
            yield Wrong(path, f"number {number} means {address}, which {place} {plane} {cidr}", fix)
        else:
            yield Wrong(path, f"{address} {place} {plane} {cidr}", f"use one from {cidr[1]} to {cidr[-2]}")


def numbers_differ(draft: Draft) -> Iterable[Wrong]:
    """Two hosts of one number would share every address."""
    first: dict[int, str] = {}
    for name, number in draft.numbers.items():
        if number in first:
            yield Wrong(("hosts", name, "number"), f"number {number} is also {first[number]}'s", _FREE)
        first.setdefault(number, name)


def addresses_differ(draft: Draft) -> Iterable[Wrong]:
    """Two hosts of one address would take turns being reached."""
    first: dict[tuple[Plane, IPv4Address], tuple[str, Path]] = {}
    for host, plane, address, path in _each(draft):
        other, its_path = first.setdefault((plane, address), (host, path))
        same_number = path[-1] == its_path[-1] == "number"
        if other != host and not same_number:
            blame = path if path[-1] != "number" else its_path
            sharer = other if blame is path else host
            yield Wrong(blame, f"{address} is also {sharer}'s on {plane}", _FREE)


def not_taken(draft: Draft) -> Iterable[Wrong]:
    """Virtual addresses, the gateway and floating addresses are not a host's."""
    for _host, plane, address, path in _each(draft):
        network = draft.networks[plane]
        if address == network.vip:
            yield Wrong(path, f"{address} is the vip of {plane}", _FREE)
        if address == network.gateway:
            yield Wrong(path, f"{address} is the gateway of {plane}", _FREE)
        if network.pool and network.pool[0] <= address <= network.pool[1]:
            fix = "choose one outside it, or move networks.external.pool"
            yield Wrong(path, f"{address} is in the pool of floating addresses", fix)


def out_of_band_known(draft: Draft) -> Iterable[Wrong]:
    """An address on a network that is not in the file could not be checked."""
    for name, host in draft.file.hosts.items():
        if host.addresses.out_of_band and Plane.OUT_OF_BAND not in draft.networks:
            path = ("hosts", name, "addresses", "out_of_band")
            yield Wrong(path, "there is no networks.out_of_band", "give its cidr, or take the address out")


RULES = (
    Rule(
        "Every server has an address on management, storage and tenant, and every controller on external, "
        "by its "
        "number or one by one.",
        given,
        ("machines", "networks", "hosts.@.number", "hosts.@.addresses", "hosts.@.roles"),
    ),
    Rule("Every address is a usable one of its network.", inside, _READS),
    Rule("No two hosts have one number.", numbers_differ, ("machines", "hosts.*.number")),
    Rule(
        "No two hosts have one address.",
        addresses_differ,
        ("machines", "networks", "hosts.*.number", "hosts.*.addresses"),
    ),
    Rule("No host has a virtual address, the gateway or an address of the pool.", not_taken, _READS),
    Rule(
        "An out-of-band address has its network.",
        out_of_band_known,
        ("machines", "networks.out_of_band"),
    ),
)
