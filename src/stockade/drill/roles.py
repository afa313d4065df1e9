"""Who has which role, seen by looking at the cloud just now."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from stockade.build.context import DATABASE_BACKEND
from stockade.build.services.nova import SERVICE as NOVA
from stockade.cloud.model import Host
from stockade.drill.faults.base import seen
from stockade.drill.faults.undo import HealPlan, Step, Undo, perform
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
    """The compute on which the demo's VM runs. Raises HostError if it runs nowhere, or twice."""
    # The brackets keep the shell that asks from finding itself.
    computes = tuple(host for host in scene.cloud.hosts if host not in scene.cloud.controllers)
    found = await scene.each(f"pgrep -f '[u]uid {scene.things.server_id}' >/dev/null && echo here || true", computes)
    running = [host for host, text in found.items() if text]
    if len(running) != 1:
        raise HostError("the demo's VM", f"runs on {' and '.join(running) or 'no compute'}", next_step="stockade demo")
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


async def gather(scene: Scene, onto: str, plan: HealPlan) -> bool:
    """Move the VIPs and the demo's router onto one controller, so that its loss is the worst one; whether they moved.

    The others are taken out of each election until `onto` has won it. That is a fault too: its undo steps are on disk.
    """
    others = tuple(host for host in scene.cloud.controllers if host.name != onto)
    moved = False
    if not await _holds_all(scene, onto):
        steps = [Undo(Step.START, host.name, "keepalived") for host in others]
        moved = await _move(scene, others, "systemctl stop keepalived", steps, plan, lambda: _holds_all(scene, onto))
    if await router_owners(scene) != (onto,):
        router = scene.things.router_id
        steps = [Undo(Step.ROUTER_LINK, host.name, router) for host in others]
        inside = f"ip netns exec qrouter-{router}"
        away = f"{inside} ip link set $({inside} ip -oneline link show | grep -o 'ha-[^@:]*' | head -1) down"

        async def owns() -> bool:
            return onto in await router_owners(scene)

        moved = await _move(scene, others, away, steps, plan, owns)
    return moved


async def _holds_all(scene: Scene, host: str) -> bool:
    addresses = await scene.each(ADDRESSES, scene.cloud.controllers)
    vips = (scene.cloud.internal_vip, scene.cloud.external_vip)
    return all(holders(addresses, str(vip)) == (host,) for vip in vips)


async def _move(
    scene: Scene,
    others: tuple[Host, ...],
    away: str,
    back: Sequence[Undo],
    plan: HealPlan,
    there: Callable[[], Awaitable[bool]],
) -> bool:
    plan.write(back)
    try:
        await scene.each(away, others)

        async def look() -> str | None:
            return "there" if await there() else None

        await seen("the election to be won", look, timeout_s=MOVE_S, poll_s=0.5)
    finally:
        await perform(back, scene.cloud, scene.machines)
        plan.done()
    return True


def _only(scene: Scene, hosts: tuple[str, ...], what: str) -> tuple[str, ...]:
    if len(hosts) != 1:
        raise HostError(scene.cloud.controllers[0].name, f"{what} is on {', '.join(hosts) or 'no controller'}")
    return hosts
