"""Which `Machines` a cloud has: the one place that asks."""

from __future__ import annotations

from stockade.cloud.model import Cloud, MachineKind
from stockade.machines.base import Machines
from stockade.machines.lab.lab import LabMachines
from stockade.machines.ssh import SshMachines


def machines_for(cloud: Cloud) -> Machines:
    """The machines of `cloud`, none of them contacted yet."""
    return LabMachines(cloud) if cloud.machines is MachineKind.LAB else SshMachines(cloud)
