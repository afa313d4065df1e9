"""This controller's database member: started when that is safe, and its health told to HAProxy and its peers."""

import http.client
import json
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stockade.agent.config import Settings, ready_to_start
from stockade.agent.election import NEVER, Member, decide
from stockade.agent.sockets import listening

log = logging.getLogger("stockade.agent.database")

SOCKET = "/run/mysqld/mysqld.sock"
GRASTATE = Path("/var/lib/mysql/grastate.dat")
DATA = Path("/var/lib/mysql/ibdata1")
NEW_CLUSTER = Path("/run/mysqld/wsrep-new-cluster")
UNKNOWN = "unknown"
"""History of a member whose own state file is damaged."""
DRAIN = Path("/run/stockade/database-drained")
"""While this file is there the member answers that it is not to be used, so the writer can be moved on purpose."""
LOOP_S = 1.0
_RUNNING = ("active", "activating", "deactivating", "reloading")
CACHE_S = 0.2
"""How old an answer to a health check may be; three HAProxies ask each second."""
QUERY_TIMEOUT_S = 1.0
"""A server that takes longer is not one to send users to."""
PEER_TIMEOUT_S = 3.0
RECOVERY_TIMEOUT_S = 120
START_TIMEOUT_S = 900
"""systemd's own bound for a member that receives a full copy (TimeoutStartSec of mariadb.service)."""


def keep(settings: Settings, stop: threading.Event) -> None:
    """Start the member whenever it does not run and the decision is to join or to form."""
    last = ""
    while not stop.wait(LOOP_S):
        if not ready_to_start("mariadb") or _unit_state() in _RUNNING:
            continue
        peers = {
            name: peer_state(address, settings.port)
            for name, address in settings.controllers.items()
            if name != settings.host
        }
        # With a primary to join, where this member's own data end is of no interest, and finding out costs seconds.
        known = any(peer and peer.primary for peer in peers.values())
        mine = Member() if known else own_state()
        members = {name: peers.get(name) if name != settings.host else mine for name in settings.controllers}
        decision = decide(settings.host, members)
        if decision.sentence != last:
            log.info("%s: %s", decision.action, decision.sentence)
            last = decision.sentence
        if decision.action == "join":
            # Left behind by a forming that failed, it would make this start form a second cluster.
            NEW_CLUSTER.unlink(missing_ok=True)
            _systemctl("start", "mariadb")
        elif decision.action == "form":
            _form()


def serve(settings: Settings, stop: threading.Event) -> None:
    """Answer `/database` (200: send users here) and `/state` (for the other members' decisions)."""
    health = _Health()

    class Handler(BaseHTTPRequestHandler):
        """One question."""

        timeout = 5
        """Seconds an idle caller may hold a thread."""

        def do_GET(self) -> None:
            """Answer it."""
            if self.path == "/database":
                usable, text = health.usable()
                self._send(200 if usable else 503, text)
            elif self.path == "/state":
                self._send(200, json.dumps(own_state().__dict__))
            else:
                self._send(404, "unknown")

        def _send(self, code: int, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Checks come every second; they are not worth a line."""

    server = _Server((settings.address, settings.port), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening(settings.address, settings.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()


class _Server(ThreadingHTTPServer):
    """Quiet about callers that hang up early: HAProxy ends a check as soon as it has read the status line."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the caller is gone."""


class _Health:
    """The server's own view of itself, asked at most every `CACHE_S`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer, self._asked = (False, "not asked yet"), -1.0

    def usable(self) -> tuple[bool, str]:
        """(usable, why)."""
        if DRAIN.exists():
            return False, "drained"
        with self._lock:
            if time.monotonic() - self._asked > CACHE_S:
                self._answer = self._ask()
                self._asked = time.monotonic()
            return self._answer

    def _ask(self) -> tuple[bool, str]:
        try:
            state = wsrep_status()
        except Exception as error:
            return False, f"no answer: {error}"
        synced = state.get("wsrep_local_state") == "4"
        # A donor (2) stays writable under mariabackup, so it serves rather than nobody.
        donor = state.get("wsrep_local_state") == "2"
        primary = state.get("wsrep_cluster_status") == "Primary" and state.get("wsrep_ready") == "ON"
        return primary and (synced or donor), state.get("wsrep_local_state_comment", "unknown")


def wsrep_status() -> dict[str, str]:
    """Galera's status variables of the local server. Raises if it does not answer within `QUERY_TIMEOUT_S`."""
    import pymysql

    connection: Any = pymysql.connect(
        unix_socket=SOCKET,
        user="root",
        connect_timeout=1,
        read_timeout=QUERY_TIMEOUT_S,
        write_timeout=QUERY_TIMEOUT_S,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep_%'")
        return dict(cursor.fetchall())


def own_state() -> Member:
    """This member's word."""
    state = _unit_state()
    if state in _RUNNING:
        try:
            primary = wsrep_status().get("wsrep_cluster_status") == "Primary"
        except Exception:
            primary = False
        return Member(running=True, starting=state != "active", primary=primary)
    return _on_disk()


def _on_disk() -> Member:
    """Position on disk; after an unclean end the server itself must find it."""
    if not GRASTATE.exists():
        return Member()
    text = GRASTATE.read_text()
    # A file without a position is a damaged one: this member was in a cluster, and nobody may form one over it.
    uuid = _field(text, "uuid") or UNKNOWN
    seqno = int(_field(text, "seqno") or -1)
    safe = _field(text, "safe_to_bootstrap") == "1"
    if uuid == NEVER:
        if not DATA.exists():
            return Member()  # half a copy received: nothing in place yet
        # Galera writes zeros while a schema change is under way: power lost then, the data itself knows.
        uuid, seqno = UNKNOWN, -1
    if seqno < 0:
        uuid, seqno = _recovered() or (uuid, seqno)
    if uuid == NEVER:
        return Member()
    return Member(uuid=uuid, seqno=seqno, safe_to_bootstrap=safe)


_recovery: dict[str, tuple[str, int]] = {}
_recovering = threading.Lock()


def _recovered() -> tuple[str, int] | None:
    """uuid and seqno as InnoDB's log has them; None if that cannot be told now.

    Kept until the server has run again: recovery costs seconds, and every peer asks. One at a time: it opens the data.
    """
    with _recovering:
        run = _systemd("InactiveEnterTimestampMonotonic")
        if run not in _recovery:
            position = _recover()
            if position is None:
                return None
            _recovery.clear()
            _recovery[run] = position
        return _recovery[run]


def _recover() -> tuple[str, int] | None:
    process = subprocess.Popen(
        ["galera_recovery"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=RECOVERY_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # Its server too: left alone, that would hold the data against the one to be started.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        log.warning("recovery of the position took longer than %s s", RECOVERY_TIMEOUT_S)
        return None
    match = re.search(r"--wsrep_start_position=([0-9a-f-]{36}):(-?\d+)", output)
    if not match:
        log.warning("cannot recover the position: %s", errors.strip()[-300:])
        return None
    return match[1], int(match[2])


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}:\s*(\S+)", text, re.MULTILINE)
    return match[1] if match else ""


def peer_state(address: str, port: int) -> Member | None:
    """Another member's word, or None."""
    connection = http.client.HTTPConnection(address, port, timeout=PEER_TIMEOUT_S)
    try:
        connection.request("GET", "/state")
        return Member(**json.loads(connection.getresponse().read()))
    except (OSError, ValueError, TypeError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _form() -> None:
    if GRASTATE.exists():
        text = re.sub(r"^safe_to_bootstrap:.*$", "safe_to_bootstrap: 1", GRASTATE.read_text(), flags=re.MULTILINE)
        _replace(GRASTATE, text)
    # As Debian's galera_new_cluster does: the unit's environment says it for this one start, whatever its outcome.
    NEW_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NEW_CLUSTER.write_text("_WSREP_NEW_CLUSTER='--wsrep-new-cluster'\n")
    try:
        _systemctl("start", "mariadb")
    finally:
        NEW_CLUSTER.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    """New content in one step: cut off half-way, the file would say that this member was never in a cluster."""
    status = path.stat()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fchown(file.fileno(), status.st_uid, status.st_gid)
        os.fchmod(file.fileno(), status.st_mode & 0o777)
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def _unit_state() -> str:
    return _systemd("ActiveState")


def _systemd(name: str) -> str:
    done = subprocess.run(
        ["systemctl", "show", f"--property={name}", "--value", "mariadb"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def _systemctl(verb: str, unit: str) -> None:
    subprocess.run(["systemctl", "reset-failed", unit], capture_output=True, timeout=30, check=False)
    done = subprocess.run(
        ["systemctl", verb, unit], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
    )
    if done.returncode:
        log.warning("%s %s: %s", verb, unit, done.stderr.strip())
