"""What is looked at when a trial ends: the acknowledged set through each controller, database, VIPs, volume."""

from __future__ import annotations

import base64
import binascii
import gzip
from typing import Any

import httpx

from stockade.drill.history import Kind
from stockade.drill.load.acknowledged import PATH, PREFIX
from stockade.drill.record import HistoryFile
from stockade.drill.roles import ADDRESSES, holders
from stockade.drill.scene import Scene
from stockade.errors import HostError
from stockade.guest.page import NotAGuestError, parse_records

READ_TIMEOUT_S = 30.0
VOLUME_BYTES = 33 << 20
"""The writer's header and its whole ring."""
SNAPSHOT = "stockade-drill"
NETWORK_PORT = 9696
GALERA = (
    "SHOW STATUS WHERE Variable_name IN ('wsrep_cluster_state_uuid', 'wsrep_local_state_comment', "
    "'wsrep_last_committed', 'wsrep_cluster_size')"
)


async def finally_observe(scene: Scene, history: HistoryFile, token: str, *, volume: bool) -> None:
    """Write everything that the checkers want to know of the end. What cannot be read is written as an error."""
    await _sets(scene, history, token)
    await _members(scene, history)
    await _galera(scene, history)
    await _holders(scene, history)
    if volume:
        await _volume(scene, history)


async def _holders(scene: Scene, history: HistoryFile) -> None:
    addresses = await scene.each(ADDRESSES, scene.cloud.controllers)
    silent = [host.name for host in scene.cloud.controllers if host.name not in addresses]
    for name, address in vips(scene).items():
        history.write(
            Kind.OBSERVE,
            "vip-holders",
            key=name,
            value=list(holders(addresses, address)),
            error=f"no answer from {', '.join(silent)}" if silent else None,
        )


def vips(scene: Scene) -> dict[str, str]:
    """The VIPs by name."""
    return {"internal": str(scene.cloud.internal_vip), "external": str(scene.cloud.external_vip)}


async def _sets(scene: Scene, history: HistoryFile, token: str) -> None:
    """The records, through each controller's own API server, past the load balancers."""
    async with httpx.AsyncClient(timeout=READ_TIMEOUT_S, trust_env=False) as client:
        for host in scene.cloud.controllers:
            url = f"http://{host.management}:{NETWORK_PORT}{PATH}?fields=name"
            try:
                answer = await client.get(url, headers={"X-Auth-Token": token})
                answer.raise_for_status()
                history.write(Kind.OBSERVE, "set-read", node=host.name, value=_names(answer.json()))
            except (httpx.HTTPError, ValueError, KeyError) as error:
                history.write(Kind.OBSERVE, "set-read", node=host.name, error=f"{type(error).__name__}: {error}"[:200])


def _names(answer: Any) -> list[str]:
    """Names of the drill's own records; one that is there twice is there twice."""
    names = (str(each["name"]) for each in answer["address_scopes"])
    return sorted(name for name in names if name.startswith(f"{PREFIX}-"))


async def _members(scene: Scene, history: HistoryFile) -> None:
    """The records in each member of the database itself, once it has applied all it knows of: every API of every
    controller asks the same one member, and would not see that another has lost rows."""
    statement = f"SET SESSION wsrep_sync_wait = 1; SELECT name FROM address_scopes WHERE name LIKE '{PREFIX}-%';\n"
    for host in scene.cloud.controllers:
        node = f"{host.name}'s database"
        try:
            text = await scene.out(host.name, "mariadb --batch --skip-column-names neutron", stdin=statement)
            history.write(Kind.OBSERVE, "set-read", node=node, value=sorted(text.split()))
        except HostError as error:
            history.write(Kind.OBSERVE, "set-read", node=node, error=str(error)[:200])


async def _galera(scene: Scene, history: HistoryFile) -> None:
    for host in scene.cloud.controllers:
        try:
            text = await scene.out(host.name, "mariadb --batch --skip-column-names", stdin=GALERA + ";\n")
            history.write(Kind.OBSERVE, "galera", node=host.name, value=galera(text))
        except (HostError, KeyError, ValueError) as error:
            history.write(Kind.OBSERVE, "galera", node=host.name, error=str(error)[:200])


def galera(text: str) -> dict[str, Any]:
    """A member's place, from its status rows. Raises KeyError or ValueError."""
    rows = dict(line.split("\t", 1) for line in text.splitlines())
    return {
        "cluster": rows["wsrep_cluster_state_uuid"],
        "state": rows["wsrep_local_state_comment"],
        "seqno": int(rows["wsrep_last_committed"]),
        "size": int(rows["wsrep_cluster_size"]),
    }


async def _volume(scene: Scene, history: HistoryFile) -> None:
    """The writer's records, from a snapshot of the volume: all of one moment, while the VM goes on writing."""
    image = f"volumes/volume-{scene.things.volume_id}"
    script = (
        f"rbd snap rm {image}@{SNAPSHOT} --no-progress 2>/dev/null; "
        f"rbd snap create {image}@{SNAPSHOT} --no-progress && "
        f"rbd export {image}@{SNAPSHOT} - --no-progress | head -c {VOLUME_BYTES} | gzip -1 | base64 -w 0; "
        f"rbd snap rm {image}@{SNAPSHOT} --no-progress"
    )
    try:
        text = await scene.out(scene.cloud.controllers[0].name, script, timeout_s=120)
        records = parse_records(gzip.decompress(base64.b64decode(text)))
    except (HostError, NotAGuestError, OSError, binascii.Error, EOFError) as error:
        history.write(Kind.OBSERVE, "volume", error=str(error)[:200])
        return
    value = {"last": records.last, "problems": list(records.problems), "boots": list(records.boots)}
    history.write(Kind.OBSERVE, "volume", value=value)
