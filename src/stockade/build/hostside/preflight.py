"""What `preflight` looks at on a host. Reads only."""

import json
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from . import shell
from .ceph import taken

Json = dict[str, Any]
VRRP_PROTOCOL = 112
SNIFF_S = 4.0
"""Longer than three of the slowest VRRP advertisement interval in use, 1 s."""


def look(request: Json) -> Json:
    """Facts about the operating system, NICs, disks, clock, and who else speaks VRRP or holds the VIPs."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    links = json.loads(shell.run(["ip", "-json", "address", "show"]))
    return {
        "os": release.get("PRETTY_NAME", "").strip('"'),
        "codename": release.get("VERSION_CODENAME", ""),
        "links": {
            link["ifname"].partition("@")[0]: {
                "mtu": link["mtu"],
                "up": "UP" in link["flags"],
                "addresses": [entry["local"] for entry in link["addr_info"]],
            }
            for link in links
        },
        "disks": {disk: taken(disk) for disk in request["disks"]},
        "free_bytes": shutil.disk_usage("/var/lib").free,
        "wall": time.time(),
        "vips": {vip: _holder(vip, nic) for vip, nic in request["vips"].items()},
        "vrids": _vrids(),
        "reachable": {address: _answers(address) for address in request["peers"]},
    }


def _holder(vip: str, nic: str) -> str:
    """`us` if this host holds the VIP, `other` if some machine answers ARP for it, empty if nobody, else `unknown`.

    Only iputils' arping ends with 0 or 1 as an answer; the other program of that name knows other options.
    """
    if f" {vip}/" in shell.run(["ip", "-4", "-oneline", "address"]):
        return "us"
    if not shutil.which("arping"):
        return "unknown"
    version = subprocess.run(["arping", "-V"], capture_output=True, text=True, timeout=5, check=False)
    if "iputils" not in version.stdout + version.stderr:
        return "unknown"
    asked = ["arping", "-q", "-c", "2", "-w", "3", "-f", "-I", nic, vip]
    code = subprocess.run(asked, capture_output=True, timeout=10, check=False).returncode
    return {0: "other", 1: ""}.get(code, "unknown")


def _vrids() -> list[list[str]]:
    """[address, router id] of every VRRP advertisement heard in `SNIFF_S`."""
    heard = set()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP_PROTOCOL) as listener:
            listener.settimeout(0.5)
            deadline = time.monotonic() + SNIFF_S
            while time.monotonic() < deadline:
                try:
                    packet, (address, _port) = listener.recvfrom(2048)
                except TimeoutError:
                    continue
                header = (packet[0] & 0x0F) * 4
                (_version, vrid) = struct.unpack_from("BB", packet, header)
                heard.add((address, str(vrid)))
    except OSError:
        return []
    return sorted(list(entry) for entry in heard)


def _answers(address: str) -> bool:
    return shell.ok(["ping", "-q", "-c", "1", "-W", "2", address])
