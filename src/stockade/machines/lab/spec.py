"""What a lab machine is, as a file: so that whoever switches its power needs neither cloud file nor lab."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from stockade.files import write_whole
from stockade.machines.lab.paths import NETNS, LabPaths

DEFAULT_DISK = "60G"
"""Sparse: the room Ceph, images and databases may grow into, not what they take."""
DEFAULT_WATCHDOG_S = 10.0
"""A machine that stops feeding its watchdog is reset after this."""


@dataclass(frozen=True, slots=True)
class Port:
    """One cable: a NIC of the machine, the switch port it is in, and the bridge that is the switch."""

    switch_port: str
    nic: str
    bridge: str
    mac: str
    address: str | None
    """With prefix length; None: the NIC has no address of its own."""
    checksums: bool
    """False: the NIC may face a switch in user space, which needs checksums filled in."""
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine. Written when it is made; its image never changes under it."""

    cloud: str
    host: str
    serial: str
    image: str
    ports: tuple[Port, ...]
    ssh_address: str
    bmc_address: str | None
    disk_size: str = DEFAULT_DISK
    watchdog_s: float = DEFAULT_WATCHDOG_S

    @property
    def paths(self) -> LabPaths:
        """The directories of its lab."""
        return LabPaths(self.cloud)

    @property
    def file(self) -> Path:
        """Where this description is kept."""
        return self.paths.machine_state(self.host) / "machine.json"

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"{self.cloud}-{self.host}"

    @property
    def namespace_file(self) -> Path:
        """Where `ip netns` keeps that namespace."""
        return NETNS / self.namespace

    def save(self) -> None:
        """Write the description; readers see the old or the new one, never half of it."""
        write_whole(self.file, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> MachineSpec:
        """The description in `file`."""
        data = json.loads(file.read_text())
        return cls(**{**data, "ports": tuple(Port(**port) for port in data["ports"])})


def load_all(cloud: str) -> dict[str, MachineSpec]:
    """Every machine this computer has for `cloud`, by host name."""
    files = sorted(LabPaths(cloud).lab.glob("*/machine.json"))
    return {spec.host: spec for spec in map(MachineSpec.load, files)}
