"""Looking at real machines before anything is changed on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stockade.build.remote import call
from stockade.cloud.model import Cloud, Host, Plane, Role
from stockade.errors import HostError, StockadeError
from stockade.machines.base import Machines, Progress

TIMEOUT_S = 60
CODENAME = "trixie"
CLOCK_BOUND_S = 0.5
"""Above it tokens and certificates begin to look not yet valid or expired."""
FREE_BYTES = 10 << 30
PLANES = (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT, Plane.EXTERNAL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is as it should be, and if not what to do."""

    host: str
    ok: bool
    sentence: str
    fix: str = ""


async def preflight_cloud(cloud: Cloud, machines: Machines, progress: Progress) -> tuple[Finding, ...]:
    """Everything `stockade preflight` looks at, host by host. Changes nothing."""
    progress.phase("preflight", len(cloud.hosts))
    holders: dict[str, set[str]] = {}

    async def one(host: Host) -> list[Finding]:
        progress.doing(host.name, "looking")
        try:
            sent = time.time()
            facts = await call(machines.transport(host), host.name, _request(cloud, host), timeout_s=TIMEOUT_S)
            for vip, holder in facts["vips"].items():
                holders.setdefault(vip, set()).add(holder)
            findings = list(judge(cloud, host, facts, sent, time.time()))
        except StockadeError as error:
            fix = _next_step(error) or "make SSH as root work"
            findings = [Finding(host.name, ok=False, sentence=str(error).splitlines()[0], fix=fix)]
        findings.append(await _bmc(host, machines))
        progress.doing(host.name, "")
        progress.advance()
        return findings

    groups = await asyncio.gather(*(one(host) for host in cloud.hosts))
    return (*(finding for group in groups for finding in group), *free_vips(holders))


def free_vips(holders: Mapping[str, set[str]]) -> Iterator[Finding]:
    """A VIP is free if nobody holds it, or one of our own hosts does (the cloud stands already)."""
    for vip, found in holders.items():
        if "unknown" in found and "us" not in found:
            fix = "apt-get install iputils-arping on the controllers, and look again"
            yield Finding("cloud", ok=False, sentence=f"cannot tell whether VIP {vip} is free", fix=fix)
            continue
        taken = "other" in found and "us" not in found
        sentence = f"VIP {vip} is held by a machine that is not ours" if taken else f"VIP {vip} is free or ours"
        yield Finding("cloud", not taken, sentence, "choose another `vip`, or find that machine" if taken else "")


def _request(cloud: Cloud, host: Host) -> dict[str, Any]:
    controller = Role.CONTROLLER in host.roles
    vips = {
        str(cloud.networks[plane].vip): host.nics[plane]
        for plane in (Plane.MANAGEMENT, Plane.EXTERNAL)
        if controller and cloud.networks[plane].vip
    }
    peers = [
        str(other.addresses[plane])
        for other in cloud.hosts
        if other != host
        for plane in (Plane.MANAGEMENT, Plane.STORAGE)
    ]
    return {"do": "preflight", "disks": list(host.osd_disks), "vips": vips, "peers": peers}


def judge(cloud: Cloud, host: Host, facts: dict[str, Any], sent: float, received: float) -> Iterator[Finding]:
    """Findings from what one host reported between `sent` and `received` (wall time here)."""

    def finding(ok: bool, good: str, bad: str, fix: str) -> Finding:  # noqa: FBT001
        return Finding(host.name, ok, good if ok else bad, "" if ok else fix)

    yield finding(
        facts["codename"] == CODENAME,
        f"runs {facts['os']}",
        f"runs {facts['os']}, not Debian 13",
        "install Debian 13",
    )
    for plane in PLANES:
        nic, network = host.nics.get(plane, ""), cloud.networks[plane]
        link = facts["links"].get(nic)
        yield finding(
            link is not None,
            f"{nic} is there for {plane}",
            f"has no NIC {nic} for {plane}",
            f"correct hosts.{host.name}.nics.{plane}",
        )
        if link is not None:
            enough = link["mtu"] >= network.mtu
            yield finding(
                enough,
                f"{nic} has MTU {link['mtu']}",
                f"{nic} has MTU {link['mtu']}, below {network.mtu}",
                "raise the NIC's MTU or lower the network's",
            )
    present = {address for link in facts["links"].values() for address in link["addresses"]}
    # The external network of a controller too: keepalived talks from there.
    held = (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT, Plane.EXTERNAL)
    for plane in (each for each in held if each in host.addresses):
        address = str(host.addresses[plane])
        yield finding(
            address in present,
            f"holds {address}",
            f"does not hold its {plane} address {address}",
            "configure it on the NIC",
        )
    for address, answered in facts["reachable"].items():
        if not answered:
            yield finding(False, good="", bad=f"cannot reach {address}", fix="check cabling, VLANs and firewalls")
    for disk, why in facts["disks"].items():
        yield finding(not why, f"{disk} is free", f"{disk} {why}", "give an empty disk, or wipe it if you are sure")
    skew = max(sent - facts["wall"], facts["wall"] - received, 0.0)
    yield finding(
        skew <= CLOCK_BOUND_S,
        "clock agrees",
        f"clock is off by {skew:.1f} s",
        "run an NTP client on every host",
    )
    yield finding(
        facts["free_bytes"] >= FREE_BYTES,
        "has room below /var/lib",
        "has less than 10 GiB free below /var/lib",
        "free some space",
    )
    ours = {str(each.addresses[plane]) for each in cloud.controllers for plane in PLANES if plane in each.addresses}
    foreign = [
        f"{address} uses {vrid}"
        for address, vrid in facts["vrids"]
        if address not in ours and int(vrid) in (cloud.vrid, cloud.vrid + 1)
    ]
    yield finding(
        not foreign,
        "nobody else uses our VRRP ids",
        "VRRP id taken: " + ", ".join(foreign),
        "choose another `vrid`",
    )


def _next_step(error: StockadeError) -> str:
    return error.next_step if isinstance(error, HostError) else ""


async def _bmc(host: Host, machines: Machines) -> Finding:
    if host.bmc is None:
        return Finding(
            host.name,
            ok=False,
            sentence="has no BMC in the cloud file",
            fix="without one a dead host cannot be fenced by power",
        )
    try:
        bmc = machines.bmc(host)
        state, serial = await bmc.power_state(), await bmc.serial()
    except StockadeError as error:
        return Finding(
            host.name,
            ok=False,
            sentence=f"its BMC: {str(error).splitlines()[0]}",
            fix=_next_step(error) or "check address, user and password",
        )
    if host.bmc.serial and serial != host.bmc.serial:
        return Finding(
            host.name,
            ok=False,
            sentence=f"its BMC belongs to {serial}, not {host.bmc.serial}",
            fix="correct bmc.url or bmc.serial",
        )
    return Finding(host.name, ok=True, sentence=f"its BMC answers: {serial} is {state}")
