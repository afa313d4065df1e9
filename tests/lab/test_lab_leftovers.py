"""Whatever is killed, and whenever: the machine does not run on unwatched, and the next `up` or `down` works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import HOSTS, NAME, PREFIX, WATCHDOG_S, Lab

from stockade.cloud.model import Plane
from stockade.machines.lab.cgroup import Group

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SEED = 20260731
KILLS = 6
"""Points of `up` and of `down` at which they are killed. A whole `up` takes about two seconds."""


def test_dead_warden_takes_its_machine_along(lab: Lab) -> None:
    machine = lab.machine("two")
    lab.out("two", "rm -f /root/late; sync; echo late >/root/late")
    os.kill(_warden(machine.warden), signal.SIGKILL)
    _wait_until(lambda: machine.is_off)
    assert not lab.ping("one", "two", Plane.MANAGEMENT)
    assert lab.redfish("two", "status").stdout.strip().endswith("OFF")
    assert lab.up() == 1
    assert not lab.sh("two", "test -e /root/late").ok


def test_machine_without_any_warden_is_power_cycled(lab: Lab) -> None:
    machine = lab.machine("two")
    before = lab.boot_id("two")
    machine.warden.kill()
    assert machine.group.populated()
    assert not machine.is_sound
    # It still counts as on: whatever runs may write.
    assert lab.redfish("two", "status").stdout.strip().endswith("ON")
    assert lab.up() == 1
    assert lab.boot_id("two") != before


def test_dead_bmcs_come_back(lab: Lab) -> None:
    Group(f"{NAME}/bmc").kill()
    assert not lab.redfish("two", "status").ok
    assert lab.up() == 0
    assert lab.redfish("two", "status").ok


def test_machine_killed_from_outside_is_off(lab: Lab) -> None:
    machine = lab.machine("two")
    machine.group.kill()
    _wait_until(lambda: machine.is_off)
    assert lab.up() == 1


def test_up_and_down_killed_anywhere_converge(lab: Lab) -> None:
    rng = random.Random(SEED)
    for number in range(KILLS):
        _killed("down", rng.uniform(0.2, 1.2))
        _killed("up", rng.uniform(0.2, 2.5))
        if number % 2:
            _killed("up", rng.uniform(0.2, 1.5))
    lab.up()
    for name in HOSTS:
        assert lab.out(name, "systemctl is-system-running --wait") == "running"
        assert lab.redfish(name, "status").ok
    assert lab.up() == 0


def _killed(what: str, after_s: float) -> None:
    """Run `up` or `down --purge` in a process of its own and kill it."""
    program = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import sample
from stockade.machines.fake import FakeProgress
from stockade.machines.lab import image
from stockade.machines.lab.lab import LabMachines
image.discard_unused = lambda: None
machines = LabMachines(sample.cloud({NAME!r}, {PREFIX!r}, {HOSTS!r}), disk_size="4G", watchdog_s={WATCHDOG_S})
asyncio.run(machines.{"up(FakeProgress())" if what == "up" else "down(purge=True, progress=FakeProgress())"})
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        time.sleep(after_s)
        process.kill()


def _warden(group: Group) -> int:
    """The warden itself; its deadman is in the same group."""
    found = [
        p
        for p in group.pids()
        if b"stockade.machines.lab.warden" in Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")[:4]
    ]
    assert len(found) == 1, found
    return found[0]


def _wait_until(done, timeout_s: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
