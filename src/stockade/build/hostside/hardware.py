"""Facts of the hardware that settings depend on."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from . import shell


def describe() -> dict[str, Any]:
    """Cores, memory, and what of virtualisation and the kernel's datapath really works here."""
    return {
        "cores": os.cpu_count() or 1,
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20),
        "kvm": kvm_works(),
        "openvswitch_module": Path("/sys/module/openvswitch").exists() or _loadable("openvswitch"),
        "interfaces": interfaces(),
    }


def interfaces() -> dict[str, str]:
    """NIC by each IPv4 address that belongs to it for good (a VIP's prefix makes it secondary, so it is left out)."""
    links = json.loads(shell.run(["ip", "-json", "-4", "address", "show"]))
    return {
        entry["local"]: link["ifname"] for link in links for entry in link["addr_info"] if not entry.get("secondary")
    }


def kvm_works() -> bool:
    """True if a hardware-accelerated guest really starts: /dev/kvm may exist where guests do not."""
    if not Path("/dev/kvm").exists():
        return False
    command = ["qemu-system-x86_64", "-accel", "kvm", "-machine", "q35", "-m", "16", "-display", "none",
               "-nodefaults", "-monitor", "stdio"]  # fmt: skip
    try:
        done = subprocess.run(command, input="quit\n", capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _loadable(module: str) -> bool:
    try:
        return subprocess.run(["modprobe", module], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
