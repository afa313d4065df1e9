"""Where the lab keeps its things: state survives a reboot of this computer, the run directory need not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STATE_ROOT = Path("/var/lib/stockade")
RUN_ROOT = Path("/run/stockade")
IMAGES = Path("/var/cache/stockade/images")
NETNS = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Directories of one cloud's lab."""

    cloud: str

    @property
    def state(self) -> Path:
        """All that outlives a run: keys, passwords, disks."""
        return STATE_ROOT / self.cloud

    @property
    def run(self) -> Path:
        """Mount points, FIFOs and locks."""
        return RUN_ROOT / self.cloud

    @property
    def ssh(self) -> Path:
        """The operator's key and the machines' host keys."""
        return self.state / "ssh"

    @property
    def bmc(self) -> Path:
        """BMC passwords and certificates."""
        return self.state / "bmc"

    @property
    def lab(self) -> Path:
        """One directory for each machine: description, disk, console log."""
        return self.state / "lab"

    def machine_state(self, host: str) -> Path:
        """Description, disk and logs of one machine."""
        return self.lab / host

    def machine_run(self, host: str) -> Path:
        """Mount points, FIFOs and lock of one machine."""
        return self.run / host
