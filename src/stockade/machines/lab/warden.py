"""A machine's mains: the process that boots it, reads its watchdog, and takes it along when it dies itself.

Run as ``python -m stockade.machines.lab.warden MACHINE.json LOCKFD`` by `Machine.power_on`, which hands over
the machine's lock. As ``... MACHINE.json`` alone it cuts the machine's power and ends.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from stockade.lock import FileLock
from stockade.machines.lab import network
from stockade.machines.lab.disk import keep_mounts_here
from stockade.machines.lab.machine import LOCK_TIMEOUT_S, Machine
from stockade.machines.lab.run import environment
from stockade.machines.lab.spec import MachineSpec

REBOOT_STATUS = 133
"""systemd-nspawn's exit status when the system inside asked for a reboot."""
POWER_OFF_SIGNAL, REBOOT_SIGNAL = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5
"""What systemd as init takes for the power button and for ctrl-alt-del held long enough."""
CONSOLE_MAX_BYTES = 1 << 20
SHUTDOWN_TIMEOUT_S = 90.0
"""A system that doesn't finish shutting down when told to by its power button is cut off, as a user would."""


class End(Enum):
    """Why a machine's run ended."""

    OFF = auto()
    REBOOT = auto()
    STARVED = auto()
    """Its watchdog was not fed in time."""
    STUCK = auto()
    """It was told to shut down and did not."""


@dataclass
class Watchdog:
    """A watchdog timer by the kernel's rules: armed by the first write, disarmed by closing with a `V`.

    Time is given to it, so that it can be tested without waiting.
    """

    timeout_s: float
    deadline_s: float | None = None

    def written(self, data: bytes, now_s: float) -> None:
        """The machine wrote `data`."""
        self.deadline_s = None if data.endswith(b"V") else now_s + self.timeout_s

    def starved(self, now_s: float) -> bool:
        """True if it is armed and was not fed in time."""
        return self.deadline_s is not None and now_s >= self.deadline_s


def main() -> None:
    """Entry point."""
    machine = Machine(MachineSpec.load(Path(sys.argv[1])))
    if len(sys.argv) == 2:
        with machine.lock():
            machine.cut_power()
        return
    keep_mounts_here(machine.run)
    lock = FileLock.inherited(machine.run / "lock", int(sys.argv[2]), timeout_s=LOCK_TIMEOUT_S)
    deadman = _start_deadman(machine)
    while True:
        end = run_once(machine, lock)
        print(f"{machine.spec.host}: {end.name.lower()}", flush=True)
        if end is End.OFF or end is End.STUCK:
            break
    assert deadman.stdin is not None
    with suppress(BrokenPipeError):
        deadman.stdin.write(b"all is well\n")
        deadman.stdin.close()
    lock.release()


def run_once(machine: Machine, lock: FileLock) -> End:
    """One boot from power on to its end. The lock is held on entry and on return, not in between."""
    machine.prepare()
    with _console(machine.state / "console.log") as console:
        process = machine.spawn(console.fileno())
    started = _wait_for_group(machine, process)
    lock.release()
    end = _watch(machine, process) if started else End.OFF
    lock.acquire()
    if end in (End.STARVED, End.STUCK):
        _cut_own(machine, process)
    else:
        machine.group.kill()
        machine.clean()
    return end


def _watch(machine: Machine, process: subprocess.Popen[bytes]) -> End:
    """Wait for the machine to end by itself, or for a reason to end it."""
    watchdog = Watchdog(machine.spec.watchdog_s)
    stuck_at_s: float | None = None
    # Opened for writing too, so that the machine closing its end is not an end of file here.
    feed = os.open(machine.watchdog, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    control = os.open(machine.control, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    ended = os.pidfd_open(process.pid)
    poll = select.poll()
    for fd in (feed, control, ended):
        poll.register(fd, select.POLLIN)
    try:
        while True:
            deadlines = [d for d in (watchdog.deadline_s, stuck_at_s) if d is not None]
            wait_s = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            ready = {fd for fd, _ in poll.poll(None if wait_s is None else wait_s * 1000 + 1)}
            if ended in ready:
                return End.REBOOT if process.wait() == REBOOT_STATUS else End.OFF
            if feed in ready:
                watchdog.written(os.read(feed, 65536), time.monotonic())
            if control in ready:
                asked = os.read(control, 4096)
                _signal_init(process, REBOOT_SIGNAL if b"r" in asked else POWER_OFF_SIGNAL)
                stuck_at_s = stuck_at_s or time.monotonic() + SHUTDOWN_TIMEOUT_S
            now_s = time.monotonic()
            if watchdog.starved(now_s):
                return End.STARVED
            if stuck_at_s is not None and now_s >= stuck_at_s:
                return End.STUCK
    finally:
        for fd in (feed, control, ended):
            os.close(fd)


def _wait_for_group(machine: Machine, process: subprocess.Popen[bytes]) -> bool:
    """True once the machine's first process is in its group; False if it ended before."""
    while process.poll() is None:
        if machine.group.populated():
            return True
        time.sleep(0.005)
    return False


def _signal_init(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the init inside the machine: the child of nspawn, which is the child of `unshare`."""
    pids = [process.pid]
    for _ in range(2):
        pids = [int(c) for p in pids for c in Path(f"/proc/{p}/task/{p}/children").read_text().split()]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _cut_own(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    """A power cut by the warden itself: as `Machine.cut_power`, but the warden stays."""
    network.drop_ports(machine.spec)
    machine.group.freeze()
    machine.disk.cut_power(())
    machine.group.kill()
    process.wait()
    machine.clean()


def _start_deadman(machine: Machine) -> subprocess.Popen[bytes]:
    """A process that cuts the machine's power when this one is gone: a machine without a watchdog must not run on.

    The shell notices at once and stops the machine where it stands; Python then does the rest.
    """
    drop = "\\n".join(network.drop_commands(machine.spec))
    switch = network.switch_name(machine.spec.cloud)
    script = (
        f"read -r word && exit 0; printf '{drop}\\n' | ip -force -n {switch} -batch - 2>/dev/null; "
        f"echo 1 >{machine.group.path}/cgroup.freeze; "
        f'echo 0 >{machine.group.path.parent}/cgroup.procs; exec "$@"'
    )
    cut = [sys.executable, "-P", "-m", "stockade.machines.lab.warden", str(machine.spec.file)]
    return subprocess.Popen(
        ["sh", "-c", script, "deadman", *cut], stdin=subprocess.PIPE, cwd="/", env=environment(), start_new_session=True
    )


def _console(path: Path) -> BinaryIO:
    """The console log, for appending; the last boots are kept up to a bound."""
    if path.exists() and path.stat().st_size > CONSOLE_MAX_BYTES:
        path.rename(path.with_suffix(".log.1"))
    return path.open("ab")


if __name__ == "__main__":
    main()
