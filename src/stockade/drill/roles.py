"""Who has which role, seen by looking at the cloud just now."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping

from stockade.build.context import DATABASE_BACKEND
from stockade.build.services.nova import SERVICE as NOVA
from stockade.cloud.model import Host
from stockade.drill.faults.base import seen
from stockade.drill.scenario import TargetRole
from stockade.drill.scene import Scene
from stockade.errors import HostError

ADDRESSES = "ip -4 -oneline address"
_ASK = (
    'import socket;s=socket.socket(socket.AF_UNIX);s.connect("/run/haproxy/admin.sock");'
    's.sendall(b"show stat\\n");print(s.makefile().read())'
)
MOVE_S = 30.0


def holders(addresses: Mapping[str, str], address: str) -> tuple[str, ...]:
    """Hosts that have `address`, from each one's `ip -4 -oneline address`."""
    return tuple(host for host, text in addresses.items() if f" {address}/" in text)


def writer(statistics: str) -> str | None:
    """The database member that HAProxy sends writes to, from its `show stat`; None if there is none."""
    rows = [line.split(",") for line in statistics.splitlines() if line.startswith(f"{DATABASE_BACKEND},")]
    up = [row for row in rows if row[1] not in ("FRONTEND", "BACKEND") and row[17].startswith("UP")]
    # Column 19 is 1 for an active server, 20 for a stand-by, in the order of the file.
    up.sort(key=lambda row: row[19] != "1")
    return up[0][1] if up else None


def leaders(queues: str) -> Counter[str]:
    """How many quorum queues each host leads, from rabbitmqctl's JSON."""
    names = (str(queue.get("leader") or "") for queue in json.loads(queues or "[]"))
    return Counter(name.partition("@")[2] for name in names if "@" in name)


async def vip_holders(scene: Scene, address: str) -> tuple[str, ...]:
    """Controllers that have `address`."""
    return holders(await scene.each(ADDRESSES, scene.cloud.controllers), address)


async def database_writer(scene: Scene) -> str:
    """The controller whose MariaDB is written to. Raises HostError if there is none."""
    for text in (await scene.each(f"python3 -c '{_ASK}'", scene.cloud.controllers)).values():
        if found := writer(text):
            return found
    raise HostError(scene.cloud.controllers[0].name, "HAProxy knows no database member that is up")


async def router_owners(scene: Scene) -> tuple[str, ...]:
    """Controllers on which the demo's router has its addresses; more than one while it moves."""
    script = f"ip netns exec qrouter-{scene.things.router_id} ip -4 -oneline address show | grep ' qg-' || true"
    found = await scene.each(script, scene.cloud.controllers)
    return tuple(host for host, text in found.items() if text)


async def queue_leader(scene: Scene) -> str:
    """The controller that leads most of Nova's quorum queues. Raises HostError."""
    script = f"rabbitmqctl --quiet -p {NOVA.vhost} list_queues --formatter json name leader"
    for host in scene.cloud.controllers:
        try:
            counts = leaders(await scene.out(host.name, script, timeout_s=60))
        except HostError:
            continue
        if counts:
            return counts.most_common(1)[0][0]
    raise HostError(scene.cloud.controllers[0].name, "RabbitMQ names no leader of any queue")


async def vm_host(scene: Scene) -> str:
    """The compute on which the demo's VM runs. Raises HostError if it runs nowhere."""
    computes = tuple(host for host in scene.cloud.hosts if host not in scene.cloud.controllers)
    found = await scene.each(f"pgrep -f 'uuid {scene.things.server_id}' >/dev/null && echo here || true", computes)
    running = [host for host, text in found.items() if text]
    if not running:
        raise HostError("the demo's VM", "runs on no compute")
    return running[0]


async def resolve(scene: Scene, role: TargetRole) -> tuple[str, ...]:
    """The hosts that have `role` now. Raises HostError if nobody has it."""
    controllers = tuple(host.name for host in scene.cloud.controllers)
    match role:
        case TargetRole.NOBODY:
            return ()
        case TargetRole.ALL_CONTROLLERS:
            return controllers
        case TargetRole.VIP_HOLDER:
            return _only(scene, await vip_holders(scene, str(scene.cloud.internal_vip)), "the internal VIP")
        case TargetRole.DATABASE_WRITER | TargetRole.EVERYTHING:
            return (await database_writer(scene),)
        case TargetRole.QUEUE_LEADER:
            return (await queue_leader(scene),)
        case TargetRole.ROUTER_OWNER:
            return _only(scene, await router_owners(scene), "the demo's router")
        case TargetRole.OTHER_CONTROLLER:
            busy = {await database_writer(scene), *await vip_holders(scene, str(scene.cloud.internal_vip))}
            return tuple(name for name in controllers if name not in busy)[-1:]
        case TargetRole.VM_HOST:
            return (await vm_host(scene),)
        case TargetRole.GUARD_LEADER:
            raise HostError("the guard", "there is none in this cloud yet")


async def roles(scene: Scene) -> dict[str, list[str]]:
    """Who has which role, for the record. What cannot be told is missing."""
    internal, external, owners = await asyncio.gather(
        vip_holders(scene, str(scene.cloud.internal_vip)),
        vip_holders(scene, str(scene.cloud.external_vip)),
        router_owners(scene),
    )
    found = {"internal VIP": list(internal), "external VIP": list(external), "router": list(owners)}
    return found | {"database writer": [await database_writer(scene)]}


async def gather(scene: Scene, onto: str) -> None:
    """Move the VIPs and the demo's router onto one controller, so that its loss is the worst one."""
    others = tuple(host for host in scene.cloud.controllers if host.name != onto)
    if not await _holds_all(scene, onto):
        await _moved(scene, others, "systemctl stop keepalived", "systemctl start keepalived", onto, "the VIPs")
    if await router_owners(scene) != (onto,):
        inside = f"ip netns exec qrouter-{scene.things.router_id}"
        link = f"$({inside} ip -oneline link show | grep -o 'ha-[^@:]*' | head -1)"
        down, up = (f"{inside} ip link set {link} {way}" for way in ("down", "up"))
        await _moved(scene, others, down, up, onto, "the router")


async def _holds_all(scene: Scene, host: str) -> bool:
    addresses = await scene.each(ADDRESSES, scene.cloud.controllers)
    vips = (scene.cloud.internal_vip, scene.cloud.external_vip)
    return all(holders(addresses, str(vip)) == (host,) for vip in vips)


async def _moved(scene: Scene, others: tuple[Host, ...], away: str, back: str, onto: str, what: str) -> None:
    """Take the others out of the election until `onto` has won it, and let them in again."""
    try:
        await scene.each(away, others)

        async def look() -> str | None:
            if what == "the router":
                return onto if onto in await router_owners(scene) else None
            return onto if await _holds_all(scene, onto) else None

        await seen(f"{what} on {onto}", look, timeout_s=MOVE_S, poll_s=0.5)
    finally:
        await scene.each(back, others)


def _only(scene: Scene, hosts: tuple[str, ...], what: str) -> tuple[str, ...]:
    if len(hosts) != 1:
        raise HostError(scene.cloud.controllers[0].name, f"{what} is on {', '.join(hosts) or 'no controller'}")
    return hosts
