"""From what a scenario says to the fault that does it."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.drill import scenario
from stockade.drill.faults import control, disk, machine, network, unit
from stockade.drill.faults.base import Package
from stockade.drill.scene import Scene


def package(fault: scenario.Fault, scene: Scene, hosts: Sequence[str]) -> Package:
    """The fault of this kind, aimed at `hosts`."""
    match fault:
        case scenario.NoFault():
            return control.Nothing()
        case scenario.ProbesDropped(for_s=for_s):
            return control.ProbesDropped(scene, for_s)
        case scenario.RowDeleted():
            return control.RowDeleted(scene)
        case scenario.PowerCut():
            return machine.PowerCut(scene, hosts)
        case scenario.MachineFrozen():
            return machine.Frozen(scene, hosts)
        case scenario.UnitFrozen(unit=name):
            return unit.UnitFrozen(scene, hosts, name)
        case scenario.UnitKilled(unit=name, keep_down=keep_down):
            return unit.UnitKilled(scene, hosts, name, keep_down=keep_down)
        case scenario.NetworkCut():
            return network.Cut(scene, hosts, fault)
        case scenario.DiskFull(path=path):
            return disk.DiskFull(scene, hosts, path)
        case scenario.Rebooted():
            return machine.Planned(scene, hosts, "reboot")
        case scenario.ShutDown():
            return machine.Planned(scene, hosts, "poweroff")
