"""Where a cloud keeps its state on the machine that builds it. Names only: nothing here touches the disk."""

from __future__ import annotations

from pathlib import Path

STATE_ROOT = Path("/var/lib/stockade")
"""Parent of every cloud's state directory."""


def state_dir(name: str) -> Path:
    """Directory of the cloud called `name`: its CA, passwords, keys and, for a lab, its machines."""
    return STATE_ROOT / name
