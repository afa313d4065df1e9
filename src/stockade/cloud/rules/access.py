"""How machines are reached and cut off: SSH, NICs, BMCs. A lab knows its own; servers' must be given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stockade.cloud.document import Path, Wrong
from stockade.cloud.model import Plane, Segmentation
from stockade.cloud.resolve import LAB_NICS, Draft
from stockade.cloud.rules.rule import Rule

_SERVERS_ONLY = ("address", "ssh", "bmc", "nics")


def lab_knows(draft: Draft) -> Iterable[Wrong]:
    """A lab makes its machines, so these keys would be ignored; say so instead."""
    if not draft.lab:
        return
    sections = [(("hosts", name), host.model_fields_set) for name, host in draft.file.hosts.items()]
    for path, given in [*sections, (("host_defaults",), draft.file.host_defaults.model_fields_set)]:
        for key in _SERVERS_ONLY:
            if key in given:
                yield Wrong((*path, key), "is for servers; a lab chooses it", "take it out, or write `machines: ssh`")


def address_given(draft: Draft) -> Iterable[Wrong]:
    """A server must be reached before anything is known of it."""
    for name, host in draft.file.hosts.items():
        if not draft.lab and host.address is None:
            yield Wrong(("hosts", name, "address"), "is missing", "give the name or address SSH connects to")


def nics_given(draft: Draft) -> Iterable[Wrong]:
    """A NIC guessed wrong would be handed to Open vSwitch with the host's own address on it."""
    for name in draft.file.hosts:
        nics = draft.nics(name)
        missing = [plane for plane in LAB_NICS if plane not in nics]
        if missing:
            fix = "give the NICs by name, here or under host_defaults.nics"
            yield Wrong(("hosts", name, "nics"), f"has no NIC for {', '.join(missing)}", fix)


def nics_apart(draft: Draft) -> Iterable[Wrong]:
    """A NIC given to Open vSwitch no longer carries the host's own traffic."""
    tenant = draft.networks.get(Plane.TENANT)
    vlan = tenant is not None and tenant.segmentation is Segmentation.VLAN
    bridged = {Plane.EXTERNAL: "is given to Open vSwitch"}
    if vlan:
        bridged[Plane.TENANT] = "carries tenant VLANs and is given to Open vSwitch"
    for name in draft.file.hosts:
        nics = draft.nics(name)
        for plane, why in bridged.items():
            sharers = [other for other, nic in nics.items() if other is not plane and nic == nics.get(plane)]
            if sharers and not (plane is Plane.TENANT and Plane.EXTERNAL in sharers):
                what = f"{nics[plane]} is also the NIC of {', '.join(sharers)}, but the {plane} NIC {why}"
                path = ("hosts", name, "nics", str(plane))
                yield Wrong(path, what, "use a NIC of its own, or a VLAN interface such as bond0.20")


def bmc_given(draft: Draft) -> Iterable[Wrong]:
    """A silent host that cannot be fenced cannot be recovered safely, so having no BMC must be a decision."""
    if draft.lab:
        return
    for name in draft.file.hosts:
        bmc = draft.bmc(name)
        if bmc is None:
            continue
        path = ("hosts", name, "bmc")
        if bmc.url is None and draft.file.hosts[name].bmc is None:
            fix = "give its url, username and password_file, or write `bmc: none` if the machine has none"
            yield Wrong(path, "is missing", fix)
            continue
        for key in ("url", "username", "password_file"):
            if getattr(bmc, key) is None:
                fix = "give its Redfish service" if key == "url" else f"give it, here or as host_defaults.bmc.{key}"
                yield Wrong((*path, key), "is missing", fix)


def _twice(draft: Draft, key: Path, value: Callable[[str], object]) -> Iterator[Wrong]:
    first: dict[object, str] = {}
    for name in draft.file.hosts:
        mine = value(name)
        if mine is None:
            continue
        if mine in first:
            yield Wrong(("hosts", name, *key), f"is {first[mine]}'s too", "give each host its own")
        first.setdefault(mine, name)


def one_machine_each(draft: Draft) -> Iterable[Wrong]:
    """Two hosts that are one machine would be built over each other, and fenced in each other's place."""
    if draft.lab:
        return
    hosts = draft.file.hosts

    def login(name: str) -> object:
        address = hosts[name].address
        return None if address is None else (address, draft.ssh(name).port or 22)

    def bmc(key: str) -> Callable[[str], object]:
        return lambda name: getattr(section, key) if (section := draft.bmc(name)) else None

    yield from _twice(draft, ("address",), login)
    yield from _twice(draft, ("bmc", "url"), bmc("url"))
    yield from _twice(draft, ("bmc", "serial"), bmc("serial"))


_BMCS = ("machines", "hosts.@.bmc", "host_defaults.bmc")
RULES = (
    Rule("In a lab, address, ssh, bmc and nics are left out.", lab_knows, ("machines",)),
    Rule("Every server has an address for SSH.", address_given, ("machines", "hosts.@.address")),
    Rule(
        "Every server has a NIC for management, storage, tenant and external.",
        nics_given,
        ("machines", "hosts.@.nics", "host_defaults.nics"),
    ),
    Rule(
        "A NIC that Open vSwitch gets (external, and tenant with vlan) is no other network's.",
        nics_apart,
        ("machines", "networks.tenant", "hosts.@.nics", "host_defaults.nics"),
    ),
    Rule("Every server has a BMC, or says `bmc: none`.", bmc_given, _BMCS),
    Rule(
        "No two servers have one SSH address, BMC or serial number.",
        one_machine_each,
        ("machines", "hosts.*.address", "hosts.*.ssh", "hosts.*.bmc", "host_defaults.ssh"),
    ),
)
