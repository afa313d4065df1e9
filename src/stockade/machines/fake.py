"""Machines that exist only in memory, for the tests of whoever uses machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stockade.cloud.model import Cloud, Host, Plane
from stockade.errors import HostError, Unreachable
from stockade.machines.base import Bmc, Completed, Direction, PowerState, Progress, Switchboard, Transport

Answer = Callable[[Sequence[str], str], Completed]
"""What a fake host says to a command and its standard input."""


@dataclass
class FakeProgress:
    """Remembers what was shown."""

    shown: list[str] = field(default_factory=list)

    def phase(self, name: str, total: int) -> None:
        """Remember the phase."""
        self.shown.append(f"phase {name} {total}")

    def advance(self, steps: int = 1) -> None:
        """Remember the step."""
        self.shown.append(f"advance {steps}")

    def doing(self, host: str, what: str) -> None:
        """Remember what `host` does."""
        self.shown.append(f"{host}: {what}")

    def note(self, text: str) -> None:
        """Remember the line."""
        self.shown.append(text)


def say_nothing(argv: Sequence[str], stdin: str) -> Completed:  # noqa: ARG001  an `Answer`
    """The answer of a host on which every command succeeds silently."""
    return Completed(0, "", "")


@dataclass
class FakeTransport:
    """A shell that answers what it is told to, and remembers what it was asked."""

    host: str
    answer: Answer = say_nothing
    reachable: bool = True
    asked: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,  # noqa: ARG002  the protocol's signature
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Answer `argv`."""
        if not self.reachable:
            raise Unreachable(self.host, "no SSH (fake)")
        self.asked.append((tuple(argv), stdin))
        done = self.answer(argv, stdin)
        if on_line:
            for line in done.stderr.splitlines():
                on_line(line)
        return done

    async def close(self) -> None:
        """Nothing to end."""


@dataclass
class FakeBmc:
    """A BMC with one machine behind it."""

    host: str
    state: PowerState = PowerState.ON
    number: str = "FAKE"
    broken: str = ""
    """What it fails with; empty: it works."""
    asked: list[PowerState] = field(default_factory=list)

    async def power_state(self) -> PowerState:
        """The state it is in."""
        self._check()
        return self.state

    async def set_power(self, state: PowerState) -> None:
        """Change the state at once."""
        self._check()
        self.asked.append(state)
        self.state = state

    async def serial(self) -> str:
        """The number it was given."""
        self._check()
        return self.number

    def _check(self) -> None:
        if self.broken:
            raise HostError(self.host, self.broken)


@dataclass
class FakeSwitchboard:
    """Remembers what is in force."""

    in_force: list[str] = field(default_factory=list)

    async def freeze(self, host: Host) -> None:
        """Remember it."""
        self.in_force.append(f"freeze {host.name}")

    async def thaw(self, host: Host) -> None:
        """Forget it."""
        self.in_force = [each for each in self.in_force if each != f"freeze {host.name}"]

    async def cut(self, host: Host, plane: Plane, direction: Direction, percent: int) -> None:
        """Remember it."""
        self.in_force.append(f"cut {host.name} {plane} {direction} {percent}%")

    async def unplug(self, host: Host, plane: Plane) -> None:
        """Remember it."""
        self.in_force.append(f"unplug {host.name} {plane}")

    async def active(self) -> tuple[str, ...]:
        """What is remembered."""
        return tuple(self.in_force)

    async def reconnect(self) -> None:
        """Forget what concerns cables."""
        self.in_force = [each for each in self.in_force if each.startswith("freeze")]


class FakeMachines:
    """`Machines` in memory; `transports` and `bmcs` are there to be prepared and looked at."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.attached = False
        self.transports = {host.name: FakeTransport(host.name) for host in cloud.hosts}
        self.bmcs = {host.name: FakeBmc(host.name) for host in cloud.hosts}
        self.board = FakeSwitchboard()

    async def up(self, progress: Progress) -> int:
        """Switch on what is off."""
        progress.phase("machines", len(self.bmcs))
        off = [bmc for bmc in self.bmcs.values() if bmc.state is PowerState.OFF]
        for bmc in off:
            await bmc.set_power(PowerState.ON)
        return len(off)

    def attach(self) -> None:
        """Remember it."""
        self.attached = True

    def transport(self, host: Host) -> Transport:
        """The fake shell of `host`."""
        return self.transports[host.name]

    def bmc(self, host: Host) -> Bmc:
        """The fake BMC of `host`."""
        return self.bmcs[host.name]

    def switchboard(self) -> Switchboard:
        """The fake one."""
        return self.board

    async def down(self, *, purge: bool, progress: Progress) -> None:  # noqa: ARG002  the protocol's signature
        """Switch everything off."""
        for bmc in self.bmcs.values():
            await bmc.set_power(PowerState.OFF)

    async def close(self) -> None:
        """Nothing to end."""
