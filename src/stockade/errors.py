"""Every error a user can meet, as one small tree.

::

    StockadeError            base; never raised itself; exit code 1
    ├── UsageError           the command line or its input is wrong; exit code 2
    │   └── CloudFileError   the cloud file is wrong: carries every problem found, not just the first
    ├── HostError            a machine did not do what it was asked: carries host, and what to try next
    │   └── Unreachable      no SSH session can be had with the machine
    ├── BuildError           a step of `up` failed: carries host, unit, last log lines, next step
    └── LabError             this computer cannot provide, or failed to run, lab machines
"""

from __future__ import annotations


class StockadeError(Exception):
    """Base of all errors shown to the user; `exit_code` is what the process ends with."""

    exit_code = 1


class UsageError(StockadeError):
    """The command was used wrongly."""

    exit_code = 2


class HostError(StockadeError):
    """A machine failed at something: `host` names it, `next_step` says what the operator should try."""

    def __init__(self, host: str, what: str, *, next_step: str = "") -> None:
        self.host, self.what, self.next_step = host, what, next_step
        super().__init__(f"{host}: {what}" + (f"\n  next: {next_step}" if next_step else ""))


class Unreachable(HostError):
    """No SSH session could be opened with the machine."""


class BuildError(StockadeError):
    """A build step failed on `host`; `log` holds the last lines the failing unit or command wrote."""

    def __init__(self, host: str, what: str, *, unit: str = "", log: tuple[str, ...] = (), next_step: str = "") -> None:
        self.host, self.what, self.unit, self.log, self.next_step = host, what, unit, log, next_step
        lines = [f"{host}: {what}"]
        if unit:
            lines.append(f"  unit: {unit}")
        lines += [f"  | {line}" for line in log]
        if next_step:
            lines.append(f"  next: {next_step}")
        super().__init__("\n".join(lines))


class LabError(StockadeError):
    """This computer could not provide lab machines."""
