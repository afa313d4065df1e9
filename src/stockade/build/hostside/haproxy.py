"""HAProxy at run time: servers taken out of rotation, and drained while their service restarts."""

import csv
import io
import socket
import time
from typing import Any

Json = dict[str, Any]
SOCKET = "/run/haproxy/admin.sock"
DATABASE = "database"
FORCED_ADMIN_STATES = 0x01 | 0x08
"""Bits of srv_admin_state that an operator (or a killed drain) sets: forced maintenance, forced drain."""


def check(desired: Json) -> list[str]:
    """Back ends that are missing, or out of rotation because someone said so."""
    states = _states()
    wrong = []
    for backend, servers in desired["backends"].items():
        for server in servers:
            state = states.get((backend, server))
            if state is None:
                wrong.append(f"back end {backend} has no server {server}")
            elif state & FORCED_ADMIN_STATES:
                wrong.append(f"server {server} of {backend} is out of rotation")
    return wrong


def apply(desired: Json) -> None:
    """Put every server back into rotation."""
    states = _states()
    for backend, servers in desired["backends"].items():
        for server in servers:
            if states.get((backend, server), 0) & FORCED_ADMIN_STATES:
                command(f"set server {backend}/{server} state ready")


def drain(backend: str, server: str, timeout_s: float) -> bool:
    """Send no new sessions to the server and wait for its last to end; False if some outlived `timeout_s`.

    Sessions of the database never end by themselves, and must not write beside the next writer's: they are cut, once,
    while another member stands ready. Raises RuntimeError if none does.
    """
    if backend == DATABASE:
        if not any(row["svname"] not in (server, "BACKEND", "FRONTEND") for row in _up(backend)):
            raise RuntimeError(f"no database member but {server} is up in HAProxy: nothing was moved")
        command(f"set server {backend}/{server} state maint")
        return True
    command(f"set server {backend}/{server} state drain")
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if _sessions(backend, server) == 0:
            return True
        time.sleep(0.2)
    return False


def ready(backend: str, server: str) -> None:
    """Back into rotation; HAProxy's health check then decides when traffic comes."""
    command(f"set server {backend}/{server} state ready")


def stats() -> list[dict[str, str]]:
    """`show stat`, a row per proxy and server."""
    return list(csv.DictReader(io.StringIO(command("show stat").removeprefix("# "))))


def command(text: str) -> str:
    """One command on the admin socket. Raises RuntimeError when HAProxy refuses it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(SOCKET)
        connection.sendall(f"{text}\n".encode())
        chunks = []
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    answer = b"".join(chunks).decode()
    if text.startswith("set ") and answer.strip():
        raise RuntimeError(f"HAProxy refused `{text}`: {answer.strip()}")
    return answer


def _up(backend: str) -> list[dict[str, str]]:
    return [row for row in stats() if row["pxname"] == backend and row["status"].startswith("UP")]


def _sessions(backend: str, server: str) -> int:
    return sum(int(row["scur"] or 0) for row in stats() if row["pxname"] == backend and row["svname"] == server)


def _states() -> dict[tuple[str, str], int]:
    lines = command("show servers state").splitlines()
    if len(lines) < 2:
        return {}
    names = lines[1].removeprefix("# ").split()
    rows = (dict(zip(names, line.split(), strict=False)) for line in lines[2:] if line.strip())
    return {(row["be_name"], row["srv_name"]): int(row["srv_admin_state"]) for row in rows}
