"""What the rest of Stockade knows about machines: each can be talked to, and its power can be switched.

`machines: lab` and `machines: ssh` both satisfy `Machines`; nothing outside `stockade.machines` asks which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stockade.cloud.model import Cloud, Host, Plane


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished remote command."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """True if the command returned 0."""
        return self.returncode == 0


class Transport(Protocol):
    """One host's shell. Sessions are opened when first needed and reopened after a loss."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `argv` as root on the host; a non-zero return code is not an error.

        `on_line` is called with each line of stderr as it arrives (progress of long commands).
        Raises `Unreachable` if no session can be had or it is lost, `HostError` after `timeout_s`.
        Secrets belong in `stdin`, never in `argv`: argv is visible to every user of the host.
        """
        ...

    async def close(self) -> None:
        """End the session."""
        ...


class PowerState(StrEnum):
    """What a BMC says about its machine."""

    ON = "on"
    OFF = "off"


class Bmc(Protocol):
    """A machine's baseboard management controller."""

    async def power_state(self) -> PowerState:
        """Power as read back just now. Raises `HostError` if the BMC does not answer in time or refuses."""
        ...

    async def set_power(self, state: PowerState) -> None:
        """Ask for a hard power change and return when it has been read back (bounded). Raises `HostError`."""
        ...

    async def serial(self) -> str:
        """Serial number of the machine behind this BMC. Raises `HostError`."""
        ...


class Direction(StrEnum):
    """Which way a cable stops carrying frames."""

    BOTH = "both"
    TO = "to"
    """The machine hears nothing, but is heard."""
    FROM = "from"
    """The machine is not heard, but hears."""


class Switchboard(Protocol):
    """What can be done to machines from outside, besides their power; for drills. All of it can be taken back."""

    async def freeze(self, host: Host) -> None:
        """Stop every process of the machine where it is. Raises `LabError`."""
        ...

    async def thaw(self, host: Host) -> None:
        """Let it go on."""
        ...

    async def cut(self, host: Host, plane: Plane, direction: Direction, percent: int) -> None:
        """Drop `percent` of the machine's frames on `plane` in this direction; the link stays up."""
        ...

    async def unplug(self, host: Host, plane: Plane) -> None:
        """Pull the machine's cable on `plane`: both ends see the link go."""
        ...

    async def active(self) -> tuple[str, ...]:
        """Every fault of these in force, in words."""
        ...

    async def reconnect(self) -> None:
        """Plug in every cable and let every frame pass. Does no harm where nothing is wrong."""
        ...


class Progress(Protocol):
    """Where long operations say what they are doing. See `stockade.cli.progress` for the live view."""

    def phase(self, name: str, total: int) -> None:
        """A phase of `total` steps begins."""
        ...

    def advance(self, steps: int = 1) -> None:
        """`steps` steps of the current phase are done."""
        ...

    def doing(self, host: str, what: str) -> None:
        """`host` is now doing `what` (empty: idle)."""
        ...

    def note(self, text: str) -> None:
        """A line worth keeping: something finished, or was left undone."""
        ...


class Machines(Protocol):
    """The machines of one cloud."""

    async def up(self, progress: Progress) -> int:
        """Make every machine of the cloud exist, be powered on and answer SSH; return how many were changed.

        Machines that are already so are left alone. Raises `LabError`, `Unreachable` or `HostError`.
        """
        ...

    def attach(self) -> None:
        """Make this process able to reach the machines' networks (a no-op where it already is)."""
        ...

    def transport(self, host: Host) -> Transport:
        """The shell of `host`; the same object each time."""
        ...

    def bmc(self, host: Host) -> Bmc:
        """The BMC of `host`. Raises `HostError` if the cloud file gives it none."""
        ...

    def switchboard(self) -> Switchboard:
        """What drills use. Raises `LabError` where nobody can reach the cables: servers."""
        ...

    async def down(self, *, purge: bool, progress: Progress) -> None:
        """Take away what `up` made on this computer; with `purge`, disks, images and state too."""
        ...

    async def close(self) -> None:
        """End all sessions."""
        ...


MachinesFactory = Callable[[Cloud], Machines]
