"""The lab's machines boot, answer, keep their clocks and disks to themselves, and have no way out."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sample
from conftest import NAME, PREFIX, Lab

from stockade.cloud.model import Plane
from stockade.errors import Unreachable
from stockade.machines.lab import netns
from stockade.machines.ssh import SshTransport

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

OUTSIDE = "9.9.9.9"
"""An address that is on no network of the lab."""


def test_machines_boot_to_a_system_without_failed_units(lab: Lab) -> None:
    for name in ("one", "two"):
        assert lab.out(name, "systemctl is-system-running --wait") == "running"
        assert lab.out(name, "hostname") == name
        assert lab.out(name, ". /etc/os-release; echo $VERSION_CODENAME") == "trixie"


def test_second_up_changes_nothing_and_takes_less_than_a_second(lab: Lab) -> None:
    before = [lab.boot_id(name) for name in ("one", "two")]
    started = time.monotonic()
    assert lab.up() == 0
    assert time.monotonic() - started < 1.0
    assert [lab.boot_id(name) for name in ("one", "two")] == before


def test_nothing_runs_that_the_build_did_not_start(lab: Lab) -> None:
    with lab.machine("one").lock():
        lab.machine("one").cut_power()
    lab.up()
    running = lab.out("one", "systemctl list-units --type=service --state=running --plain --no-legend")
    names = {line.split()[0] for line in running.splitlines()}
    assert names <= {
        "dbus.service",
        "ssh.service",
        "systemd-journald.service",
        "systemd-logind.service",
        "user@0.service",
    }


def test_an_unknown_host_key_is_refused(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("one")
    assert host.ssh.known_hosts is not None
    other = tmp_path / "known_hosts"
    keys = host.ssh.known_hosts.read_text().splitlines()
    swapped = {f"{PREFIX}.0.11": f"{PREFIX}.0.31", f"{PREFIX}.0.31": f"{PREFIX}.0.11"}
    other.write_text("".join(f"{swapped[k.split()[0]]} {k.split(' ', 1)[1]}\n" for k in keys))
    transport = SshTransport(
        "one", replace(host.ssh, known_hosts=other), dial=lambda: netns.stream_socket(f"{NAME}-op")
    )
    with pytest.raises(Unreachable, match="host key is not the known one"):
        lab.do(transport.run(["true"]))
    lab.do(transport.close())


def test_planes_are_separate_networks(lab: Lab) -> None:
    addresses = lab.out("one", "ip -br -4 addr")
    for nic, third in (("mgmt0", 0), ("stor0", 1), ("tenant0", 2), ("pub0", 3)):
        assert any(line.startswith(nic) and f"{PREFIX}.{third}.11/24" in line for line in addresses.splitlines())
    assert "ext0" not in addresses
    for plane in (Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT, Plane.EXTERNAL):
        assert lab.ping("one", "two", plane)


def test_monotonic_clocks_differ_between_machines_and_between_boots(lab: Lab) -> None:
    clock = "python3 -c 'import time; print(int(time.monotonic()))'"
    first, other = int(lab.out("one", clock)), int(lab.out("two", clock))
    assert abs(first - other) > 60
    machine = lab.machine("one")
    with machine.lock():
        machine.cut_power()
    lab.up()
    assert abs(int(lab.out("one", clock)) - first) > 60


def test_a_machine_cannot_reconfigure_this_computer(lab: Lab) -> None:
    before = Path("/proc/sys/vm/swappiness").read_text()
    tries = (
        "sysctl -w vm.swappiness=1",
        "date -s '2001-01-01'",
        "echo h >/proc/sysrq-trigger",
        "echo x >/sys/power/state",
    )
    for attempt in tries:
        assert not lab.sh("one", attempt).ok, attempt
    assert Path("/proc/sys/vm/swappiness").read_text() == before
    mode = Path("/dev/fuse").stat().st_mode
    lab.out("one", "chmod 0640 /dev/fuse")
    assert Path("/dev/fuse").stat().st_mode == mode


def test_namespaces_inside_have_sysctls_of_their_own(lab: Lab) -> None:
    key = "net.ipv4.ip_forward"
    script = f"ip netns add q && ip netns exec q sysctl -n -w {key}=1; sysctl -n {key}; ip netns del q"
    assert lab.out("one", script).split() == ["1", "0"]


def test_no_packet_leaves(lab: Lab) -> None:
    for name in ("one", "two"):
        assert "default" not in lab.out(name, "ip route show table all")
        assert not lab.sh(name, f"ping -n -c 1 -W 1 {OUTSIDE}").ok
    for namespace in ("sw", "op", "bmc"):
        routes = _inside(namespace, "ip", "-4", "route", "show", "table", "all")
        assert "default" not in routes.stdout
        assert _inside(namespace, "ping", "-n", "-c", "1", "-W", "1", OUTSIDE).returncode != 0
        assert _inside(namespace, "cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip() == "0"
    # Every interface's other end is in a namespace of the lab: none of them in this computer's own.
    mine = {line.split()[1].rstrip(":").split("@")[0] for line in _links() if "link-netns" in line}
    assert not any(f"link-netns {NAME}-" in line for line in _links()), mine
    # Even with a route pointing at it, the operator's namespace passes nothing on.
    script = (
        f"ip route add {OUTSIDE} via {PREFIX}.0.1 && ping -n -c 2 -i 0.2 -W 1 {OUTSIDE}; ip route del {OUTSIDE}; exit 0"
    )
    assert " 0 received" in lab.out("one", script)


def test_a_new_host_is_added_and_a_dropped_one_left_alone(lab: Lab) -> None:
    before = [lab.boot_id(name) for name in ("one", "two")]
    larger = sample.cloud(NAME, PREFIX, {"one": 11, "two": 31, "three": 32})
    assert lab.up(larger) == 1
    assert [lab.boot_id(name) for name in ("one", "two")] == before
    assert lab.up() == 0
    assert "three: not in the cloud file; left as it is" in lab.progress.shown
    three = lab.machine("three")
    assert three.is_sound
    with three.lock():
        three.cut_power()


@pytest.mark.usefixtures("lab")
def test_attach_moves_a_process_onto_the_operators_network() -> None:
    program = f"""
import asyncio, sys, urllib.request
sys.path.insert(0, {str(Path(__file__).parent)!r})
import sample
from stockade.machines.lab.lab import LabMachines
cloud = sample.cloud({NAME!r}, {PREFIX!r}, {{"one": 11, "two": 31}})
machines = LabMachines(cloud)
machines.attach()
async def main():
    host = cloud.host("one")
    print((await machines.transport(host).run(["hostname"])).stdout.strip())
    print(await machines.bmc(host).power_state(), await machines.bmc(host).serial())
    print(await machines.up(__import__("stockade.machines.fake").machines.fake.FakeProgress()))
    await machines.close()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["one", "on", f"{NAME}-one", "0"], done.stderr


def _inside(namespace: str, *argv: str) -> subprocess.CompletedProcess[str]:
    enter = ["nsenter", f"--net=/run/netns/{NAME}-{namespace}"]
    return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=20, check=False)


def _links() -> list[str]:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
