"""Questions about a mechanism's health. Each answers (ok, sentence); none changes anything."""

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import shell
from .client import connect

Json = dict[str, Any]
POLL_S = 0.5
API_TIMEOUT_S = 15
KEYS_AGE_S = 60
"""The agent looks every 5 s; a minute without means that it hangs or does not run."""
ANSWER_S = 10
"""How long one question may take."""


def answer(check: Json) -> Json:
    """The answer to one check: its name, ok, and a sentence."""
    try:
        ok, text = _KINDS[check["kind"]](**check["args"])
    except (OSError, RuntimeError, ValueError, KeyError, http.client.HTTPException) as error:
        ok, text = False, (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
    except Exception as error:
        ok, text = False, f"{type(error).__name__}: {error}"[:300]
    return {"name": check["name"], "ok": ok, "text": text}


def http_answers(url: str, status: int | list[int] = 200, host_header: str = "") -> tuple[bool, str]:
    """An API answers `url` with one of `status`; over HTTPS whatever name its certificate has."""
    wanted = [status] if isinstance(status, int) else status
    request = urllib.request.Request(url, headers={"Host": host_header} if host_header else {})
    # Asked at the VIP itself, which the certificate of a name need not have.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S, context=context) as response:
            code = response.status
    except urllib.error.HTTPError as error:
        code = error.code
    return code in wanted, f"{url} answers {code}"


def unit_active(units: list[str], steady_s: float = 0.0, unless: str = "") -> tuple[bool, str]:
    """All units run, and have for `steady_s`: one that fails on its settings runs for some seconds again and again.

    Where the file `unless` is, they are held back on purpose.
    """
    if unless and Path(unless).exists():
        return True, f"held back by {unless}"
    down = [name for name in units if not shell.ok(["systemctl", "is-active", "--quiet", name])]
    if down:
        return False, f"not running: {', '.join(down)}"
    young = [name for name in units if _runs_for_s(name) < steady_s] if steady_s else []
    if young:
        return False, f"started less than {steady_s:.0f} s ago: {', '.join(young)}"
    return True, f"{', '.join(units)} running"


def _runs_for_s(unit: str) -> float:
    since = shell.run(["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit])
    return time.monotonic() - int(since) / 1e6


def database_greets(address: str, port: int) -> tuple[bool, str]:
    """A database server greets behind the proxy: that the proxy itself accepts connections says nothing."""
    with socket.create_connection((address, port), timeout=3) as connection:
        greeting = connection.recv(256)
    return len(greeting) > 5, f"{address}:{port} " + ("leads to the writer" if greeting else "leads to no server")


def galera(members: int) -> tuple[bool, str]:
    """This node is synced in a primary component of `members`."""
    from .database import _connect

    with _connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep%'")
        state = dict(cursor.fetchall())
    component = f"{state['wsrep_cluster_status'].lower()} component of {state['wsrep_cluster_size']}"
    text = f"{state['wsrep_local_state_comment']} in a {component}"
    healthy = state["wsrep_ready"] == "ON" and state["wsrep_cluster_status"] == "Primary"
    return healthy and state["wsrep_local_state_comment"] == "Synced" and int(
        state["wsrep_cluster_size"]
    ) == members, text


def rabbitmq(members: int) -> tuple[bool, str]:
    """All members run, agree, and no queue would lose its majority by design."""
    text = shell.run(["rabbitmqctl", "--quiet", "cluster_status", "--formatter", "json"], timeout_s=30)
    state = json.loads(text[text.index("{") :])
    running = state["running_nodes"]
    if state["partitions"]:
        return False, f"partitioned: {state['partitions']}"
    if state["alarms"]:
        return False, f"alarm: {state['alarms']}"
    return len(running) == members, f"{len(running)} of {members} members run"


def rabbitmq_may_stop() -> tuple[bool, str]:
    """No queue would lose its majority with this broker."""
    name = "check_if_node_is_quorum_critical"
    try:
        shell.run(["rabbitmq-diagnostics", "--quiet", name], timeout_s=60)
    except shell.CommandError as error:
        return False, str(error)
    return True, "every queue has a majority elsewhere"


def etcd(endpoints: str, members: int) -> tuple[bool, str]:
    """The cluster commits and all members answer."""
    from .keys import FLAGS

    text = shell.run(
        ["etcdctl", *FLAGS, f"--endpoints={endpoints}", "--write-out=json", "member", "list"],
        timeout_s=ANSWER_S,
    )
    started = [member["name"] for member in json.loads(text)["members"] if member.get("clientURLs")]
    healthy = [
        endpoint
        for endpoint in endpoints.split(",")
        if shell.ok(["etcdctl", *FLAGS, f"--endpoints={endpoint}", "--command-timeout=3s", "endpoint", "health"])
    ]
    return len(healthy) == members and len(started) == members, f"{len(healthy)} of {members} members commit"


def ceph_quorum(mons: int) -> tuple[bool, str]:
    """Monitors in quorum and a manager at work."""
    state = _ceph_status()
    quorum, mgr = state["quorum_names"], state["mgrmap"].get("available", False)
    return len(quorum) == mons and mgr, f"{len(quorum)} of {mons} mons in quorum, {'a' if mgr else 'no'} manager"


def ceph(mons: int, osds: int) -> tuple[bool, str]:
    """Monitors in quorum, OSDs up and in, data complete."""
    state = _ceph_status()
    quorum, osdmap, pgmap = state["quorum_names"], state["osdmap"], state["pgmap"]
    clean = sum(
        each["count"] for each in pgmap.get("pgs_by_state", []) if each["state_name"].startswith("active+clean")
    )
    total = pgmap.get("num_pgs", 0)
    text = f"{len(quorum)} of {mons} mons, {osdmap['num_up_osds']} of {osds} OSDs, "
    text += f"{clean} of {total} placement groups clean"
    mgr = state["mgrmap"].get("available", False)
    return len(quorum) == mons and osdmap[
        "num_up_osds"
    ] == osds and clean == total and mgr, text if mgr else text + ", no mgr"


def ceph_may_stop() -> tuple[bool, str]:
    """No data would lose the copies it needs to be written with this host's OSDs."""
    from .ceph import OSDS

    mine = [home.name.removeprefix("ceph-") for home in OSDS.glob("ceph-*")]
    if not mine:
        return True, "no OSD here"
    try:
        shell.run(["ceph", "--connect-timeout", "8", "osd", "ok-to-stop", *mine], timeout_s=20)
    except shell.CommandError as error:
        return False, str(error)
    return True, f"osd.{', osd.'.join(mine)} may stop"


def _ceph_status() -> Json:
    status: Json = json.loads(shell.run(["ceph", "--connect-timeout", "8", "status", "--format", "json"], timeout_s=20))
    return status


def memcached(address: str, port: int) -> tuple[bool, str]:
    """memcached answers a command."""
    with socket.create_connection((address, port), timeout=3) as connection:
        connection.sendall(b"version\r\n")
        line = connection.recv(100).decode().strip()
    return line.startswith("VERSION"), line or "no answer"


def vip_held(address: str) -> tuple[bool, str]:
    """True either way; the sentence says whether this host does, and `build.report.with_vips` judges all of them."""
    held = f" {address}/" in shell.run(["ip", "-4", "-oneline", "address"])
    return True, "holds the VIP" if held else "stands by"


def agents_alive(auth: Json, kind: str, expected: dict[str, list[str]]) -> tuple[bool, str]:
    """Every expected agent or service on every expected host reports in. `kind`: network, compute or volume."""
    cloud = connect(auth, API_TIMEOUT_S)
    if kind == "network":
        alive = {(agent.binary, agent.host) for agent in cloud.network.agents() if agent.is_alive}
    elif kind == "compute":
        alive = {(each.binary, each.host) for each in cloud.compute.services() if each.state == "up"}
    else:
        alive = {
            (each.binary, each.host.partition("@")[0]) for each in cloud.block_storage.services() if each.state == "up"
        }
    missing = [
        f"{binary} on {host}" for binary, hosts in expected.items() for host in hosts if (binary, host) not in alive
    ]
    total = sum(len(hosts) for hosts in expected.values())
    return not missing, "silent: " + ", ".join(missing) if missing else f"all {total} report in"


def fernet_current() -> tuple[bool, str]:
    """The key repository on this host is the one in etcd."""
    state = json.loads(Path("/var/lib/stockade/keys.json").read_text())
    age = time.time() - state["at"]
    if age > KEYS_AGE_S:
        return False, f"the agent has not looked at the keys for {age:.0f} s"
    return state["current"], state["text"]


_KINDS = {
    function.__name__: function
    for function in (
        http_answers, unit_active, database_greets, galera, rabbitmq, rabbitmq_may_stop, etcd, ceph_quorum, ceph,
        ceph_may_stop, memcached, vip_held, agents_alive, fernet_current,
    )
}  # fmt: skip
