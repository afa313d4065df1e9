"""Whether this boot of the host may run VMs. libvirtd and nova-compute start only once it may (safety rule 6).

A host that was declared dead and comes back must not run its old VMs again: they may run elsewhere. So nothing
here starts at boot by itself. Until a guard decides, the agent grants every boot.
"""

import logging
import subprocess
import threading
from pathlib import Path

from stockade.agent.config import Settings, ready_to_start

log = logging.getLogger("stockade.agent.grant")

UNITS = ("libvirtd", "nova-compute")
HOLD = Path("/etc/stockade/hold-compute")
"""While this file is there the host is not granted: put there by an operator (or, later, the guard)."""
LOOP_S = 2.0


def keep(_settings: Settings, stop: threading.Event) -> None:
    """Start the compute units whenever the host is granted and they do not run."""
    while not stop.wait(LOOP_S):
        if HOLD.exists():
            continue
        for unit in UNITS:
            if not ready_to_start(unit):
                break  # the one before it comes first
            state = _property(unit, "ActiveState")
            if state in ("inactive", "failed") and _property(unit, "LoadState") == "loaded":
                log.info("starting %s: this boot is granted", unit)
                subprocess.run(["systemctl", "reset-failed", unit], capture_output=True, timeout=30, check=False)
                subprocess.run(["systemctl", "start", "--no-block", unit], capture_output=True, timeout=30, check=False)


def _property(unit: str, name: str) -> str:
    done = subprocess.run(
        ["systemctl", "show", f"--property={name}", "--value", unit],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    return done.stdout.strip()
