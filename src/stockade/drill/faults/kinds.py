"""From what a scenario says to the fault that does it."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.drill import scenario
from stockade.drill.faults import control, disk, machine, network, unit
from stockade.drill.faults.base import Package
from stockade.drill.scene import Scene
from stockade.errors import UsageError


def package(fault: scenario.Fault, scene: Scene, hosts: Sequence[str]) -> Package:
    """The fault of this kind, aimed at `hosts`. Raises StockadeError if it could not be injected there, or healed."""
    if made := _control(fault, scene):
        return made
    if not hosts:
        # Everything that is said of no host is true: such a fault would be confirmed.
        raise UsageError(f"a fault of kind {fault.kind} has nobody to hit in this cloud")
    match fault:
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
        case _:
            raise AssertionError(fault)


def _control(fault: scenario.Fault, scene: Scene) -> Package | None:
    """The fault, if it hits no host."""
    match fault:
        case scenario.NoFault():
            return control.Nothing()
        case scenario.ProbesDropped(for_s=for_s):
            return control.ProbesDropped(scene, for_s)
        case scenario.RowDeleted():
            return control.RowDeleted(scene)
        case _:
            return None
