"""Faults of lab machines other than power: a frozen system, cut cables, lossy cables, BMCs in trouble.

All of them are put on from outside the machine, hold across its reboots, and are listed and healed here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stockade.cloud.model import Plane
from stockade.errors import LabError
from stockade.files import write_whole
from stockade.machines.base import Direction
from stockade.machines.lab import network
from stockade.machines.lab.bmc import Troubled
from stockade.machines.lab.machine import Machine
from stockade.machines.lab.paths import NETNS, LabPaths
from stockade.machines.lab.run import run
from stockade.machines.lab.spec import MachineSpec, load_all


class BmcTrouble(StrEnum):
    """Ways in which BMCs fail."""

    HANG = Troubled.HANG
    """It accepts connections and never answers."""
    IGNORE = Troubled.IGNORE
    """It accepts a power change and does nothing."""
    LIE = Troubled.LIE
    """It says Off, and isn't."""
    REFUSE = Troubled.REFUSE
    """It takes the right password for a wrong one."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Frames dropped on the way to or from one machine on one plane; `percent` of them, at random."""

    host: str
    plane: Plane
    direction: Direction = Direction.BOTH
    percent: int = 100


class Faults:
    """The faults of one cloud's lab."""

    def __init__(self, cloud: str) -> None:
        self.cloud = cloud
        self.paths = LabPaths(cloud)
        self._switch = network.switch_name(cloud)
        self._inside = ["nsenter", f"--net={NETNS / self._switch}"]

    def freeze(self, host: str) -> None:
        """Stop every process of `host` where it is; its kernel-side network goes on answering ARP and ping."""
        machine = Machine(self._spec(host))
        if machine.is_off:
            raise LabError(f"{host} is off: there is nothing to freeze")
        if not machine.group.freeze():
            raise LabError(f"{host} did not freeze: a process is in the middle of a system call")

    def thaw(self, host: str) -> None:
        """Let `host` go on where it was."""
        Machine(self._spec(host)).group.thaw()

    def cut(self, cut: Cut) -> None:
        """Drop frames of one machine on one plane. The link stays up: nobody is told."""
        rules = drop_rules(cut, self._matches(cut.host, cut.plane))
        self._nft(table_commands() + rules)

    def partition(self, plane: Plane, left: Iterable[str], right: Iterable[str]) -> None:
        """Drop frames between the machines `left` and `right` on `plane`; each side still reaches the rest."""
        rules = []
        for a in left:
            for b in right:
                for source in self._ports(a, plane):
                    for target in self._ports(b, plane):
                        rules += pair_rules(source, target, f"partition {plane} {a} {b}")
        self._nft(table_commands() + rules)

    def unplug(self, host: str, plane: Plane) -> None:
        """Pull the cable: the machine and the switch both see the link go."""
        marks = self.paths.run / "unplugged"
        marks.mkdir(parents=True, exist_ok=True)
        for port in self._ports(host, plane):
            (marks / port).touch()
            network.batch(self._switch, [f"link set {port} down"], force=True)

    def trouble_bmc(self, host: str, how: BmcTrouble) -> None:
        """Make the BMC of `host` fail in the way of `how`."""
        file = Troubled(self._spec(host)).file
        write_whole(file, how.value)

    def active(self) -> tuple[str, ...]:
        """Every fault in force, in words."""
        specs = load_all(self.cloud)
        found = [f"freeze {spec.host}" for spec in specs.values() if Machine(spec).group.frozen()]
        listing = run([*self._inside, "nft", "list", "ruleset"], check=False)
        found += sorted({line.split('comment "')[1].rstrip('" ') for line in listing.splitlines() if "comment" in line})
        found += [f"unplug {mark.name}" for mark in _files(self.paths.run / "unplugged")]
        found += [f"{mark.name} {mark.read_text()}" for mark in _files(self.paths.run / "faults")]
        return tuple(found)

    def heal(self) -> None:
        """Take back every fault. What is healthy is not touched, and repeating it does no harm."""
        for spec in load_all(self.cloud).values():
            machine = Machine(spec)
            if machine.group.populated():
                machine.group.thaw()
        self.reconnect()
        shutil.rmtree(self.paths.run / "faults", ignore_errors=True)

    def reconnect(self) -> None:
        """Plug in every cable and let every frame pass."""
        if self._switch in network.namespaces():
            self._nft(["add table bridge faults", "delete table bridge faults"])
            for mark in _files(self.paths.run / "unplugged"):
                network.batch(self._switch, [f"link set {mark.name} up"], force=True)
        shutil.rmtree(self.paths.run / "unplugged", ignore_errors=True)

    def _spec(self, host: str) -> MachineSpec:
        specs = load_all(self.cloud)
        if host not in specs:
            raise LabError(f"the lab {self.cloud} has no machine {host!r}: it has {', '.join(specs) or 'none'}")
        return specs[host]

    def _ports(self, host: str, plane: Plane) -> tuple[str, ...]:
        bridge = network.BRIDGES[plane]
        found = tuple(port.switch_port for port in self._spec(host).ports if port.bridge == bridge)
        if not found:
            raise LabError(f"{host} has no cable on the {plane} network")
        return found

    def _matches(self, host: str, plane: Plane) -> list[tuple[str, str]]:
        """What a frame from, and a frame to, `host` on `plane` looks like to the switch, for each of its cables."""
        if plane is not Plane.OUT_OF_BAND:
            return [(f'iifname "{port}"', f'oifname "{port}"') for port in self._ports(host, plane)]
        # All BMCs share one cable: theirs are told apart by address.
        address = self._spec(host).bmc_address
        if address is None:
            raise LabError(f"{host} has no BMC")
        return [
            (f'iifname "bmc-oob" {kind} {address}', f'oifname "bmc-oob" {other} {address}')
            for kind, other in (("ip saddr", "ip daddr"), ("arp saddr ip", "arp daddr ip"))
        ]

    def _nft(self, commands: list[str]) -> None:
        run([*self._inside, "nft", "-f", "-"], stdin="\n".join(commands) + "\n")


def table_commands() -> list[str]:
    """nft commands that make the faults' table, if it isn't there."""
    return [
        "add table bridge faults",
        "add chain bridge faults into { type filter hook prerouting priority -300; }",
        "add chain bridge faults out { type filter hook postrouting priority 300; }",
        "add chain bridge faults between { type filter hook forward priority 0; }",
    ]


def drop_rules(cut: Cut, matches: Iterable[tuple[str, str]]) -> list[str]:
    """nft commands for `cut`, given what frames from and to the machine look like."""
    luck = "" if cut.percent >= 100 else f"numgen random mod 100 < {cut.percent} "
    note = f'comment "cut {cut.host} {cut.plane} {cut.direction} {cut.percent}%"'
    rules = []
    for leaving, arriving in matches:
        if cut.direction is not Direction.TO:
            rules.append(f"add rule bridge faults into {leaving} {luck}counter drop {note}")
        if cut.direction is not Direction.FROM:
            rules.append(f"add rule bridge faults out {arriving} {luck}counter drop {note}")
    return rules


def pair_rules(left: str, right: str, name: str) -> list[str]:
    """nft commands that keep the switch ports `left` and `right` apart."""
    return [
        f'add rule bridge faults between iifname "{a}" oifname "{b}" counter drop comment "{name}"'
        for a, b in ((left, right), (right, left))
    ]


def _files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []
