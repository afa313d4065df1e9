"""What a lab costs the computer it runs on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from stockade.machines.lab.cgroup import Group


def memory_mib(lab: str) -> int:
    """Proportional set size of all processes of the lab: shared pages count once, page cache not at all."""
    total = 0
    for listing in _path(lab).rglob("cgroup.procs"):
        for number in listing.read_text().split():
            with suppress(OSError):
                lines = Path("/proc", number, "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total // 1024


def cpu_seconds(lab: str) -> float:
    """Processor time the lab has used so far."""
    (line,) = [each for each in (_path(lab) / "cpu.stat").read_text().splitlines() if each.startswith("usage_usec")]
    return int(line.split()[1]) / 1e6


def _path(lab: str) -> Path:
    return Group(lab).path
