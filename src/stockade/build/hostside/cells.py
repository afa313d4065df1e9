"""Nova's cells: the map of cell0 and cell1, and which compute hosts are in it."""

import time
from typing import Any

import pymysql

from . import shell
from .database import SOCKET

Json = dict[str, Any]
TIMEOUT_S = 120
REPORT_S = 180
"""libvirt asks every emulator it has what it can before nova-compute reports in."""
CELL0 = "00000000-0000-0000-0000-000000000000"


def check(desired: Json) -> list[str]:
    """Cells that are missing, and computes that report in but are in no cell."""
    if desired["kind"] == "map":
        present = {
            row[0]: row[1:]
            for row in _query("SELECT uuid, name, transport_url, database_connection FROM nova_api.cell_mappings")
        }
        wrong = []
        if CELL0 not in present:
            wrong.append("cell0 is not mapped")
        cells = {row[0] for row in present.values()}
        if "cell1" not in cells:
            wrong.append("cell1 does not exist")
        elif any(row[0] == "cell1" and "{" not in row[2] for row in present.values()):
            wrong.append("cell1 has a fixed database URL")
        return wrong
    mapped = {row[0] for row in _query("SELECT host FROM nova_api.host_mappings")}
    return [f"compute {host} is in no cell" for host in desired["hosts"] if host not in mapped]


def apply(desired: Json) -> None:
    """Make it so."""
    if desired["kind"] == "map":
        _manage("cell_v2", "map_cell0", "--database_connection", desired["cell0"])
        if not any(row[0] == "cell1" for row in _query("SELECT name FROM nova_api.cell_mappings")):
            _manage("cell_v2", "create_cell", "--name", "cell1", "--transport-url", desired["transport"],
                    "--database_connection", desired["cell1"])  # fmt: skip
        return
    # nova-compute reports itself first as a service and some seconds later as a hypervisor; only then is it found.
    deadline = time.monotonic() + REPORT_S
    while missing := check(desired):
        if time.monotonic() > deadline:
            raise RuntimeError("; ".join(missing) + f" after {REPORT_S} s: nova-compute there does not report in")
        if _reported() >= len(desired["hosts"]):
            _manage("cell_v2", "discover_hosts")
        else:
            time.sleep(1)


def _reported() -> int:
    """How many hypervisors nova-compute has reported."""
    return int(_query("SELECT COUNT(*) FROM nova.compute_nodes WHERE deleted = 0")[0][0])


def _manage(*arguments: str) -> None:
    shell.run(["nova-manage", *arguments], user="nova", timeout_s=TIMEOUT_S)


def _query(sql: str) -> list[Any]:
    with (
        pymysql.connect(unix_socket=SOCKET, user="root", connect_timeout=5) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return list(cursor.fetchall())
