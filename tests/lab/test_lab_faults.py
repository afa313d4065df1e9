"""Lab faults are as bad as real ones: power cuts, freezes, cut networks, starved watchdogs, broken BMCs."""

from __future__ import annotations

import time

import pytest
from conftest import WATCHDOG_S, Lab

from stockade.cloud.model import Plane
from stockade.errors import HostError
from stockade.machines.lab.faults import BmcTrouble, Cut, Direction

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

STORAGE = Plane.STORAGE


def test_power_cut_loses_what_was_not_synced_and_keeps_what_was(lab: Lab) -> None:
    lab.out("two", "rm -f /root/kept /root/lost; echo a >/root/kept; sync /root/kept /root; echo b >/root/lost")
    started = time.monotonic()
    assert lab.redfish("two", "off").ok
    assert time.monotonic() - started < 5
    assert lab.machine("two").is_off
    assert not lab.ping("one", "two", Plane.MANAGEMENT)
    assert lab.redfish("two", "on").ok
    lab.up()
    assert lab.out("two", "cat /root/kept; ls /root/lost 2>&1 || true").startswith("a\nls: cannot access")


def test_power_cut_sends_no_goodbye(lab: Lab) -> None:
    """A killed process closes its sockets; a machine without power says nothing, not even that it is gone."""
    address = lab.host("two").addresses[STORAGE]
    serve = "python3 -c 'import socket,time; s=socket.create_server((\"\",7000)); c=s.accept(); time.sleep(600)'"
    lab.out("two", f"systemd-run --quiet --unit=serve {serve}")
    watch = f"tcpdump -i stor0 -n -l -U 'src host {address} and tcp[tcpflags] & (tcp-fin|tcp-rst) != 0' -w /tmp/bye"
    hold = f'import socket,time; c=socket.create_connection(("{address}",7000)); time.sleep(600)'
    lab.out(
        "one", f"systemd-run --quiet --unit=watch {watch}; sleep 1; systemd-run --quiet --unit=hold python3 -c '{hold}'"
    )
    lab.out(
        "one",
        f"for i in $(seq 50); do ss -Htn state established dst {address}:7000 | grep -q . && break; sleep 0.1; done",
    )
    with lab.machine("two").lock():
        lab.machine("two").cut_power()
    lab.out("one", "sleep 1; systemctl stop watch")
    assert "ESTAB" in lab.out("one", f"ss -tan dst {address}:7000")
    assert lab.out("one", "tcpdump -n -r /tmp/bye 2>/dev/null | wc -l") == "0"
    assert not lab.sh("one", f"ip neigh flush {address}; arping -c 2 -w 2 -I stor0 {address}").ok
    lab.out("one", "systemctl stop hold")
    # The control: the same with a machine whose processes are merely killed does send a goodbye.
    lab.up()
    lab.out("two", f"systemd-run --quiet --unit=serve {serve}")
    lab.out(
        "one", f"systemd-run --quiet --unit=watch {watch}; sleep 1; systemd-run --quiet --unit=hold python3 -c '{hold}'"
    )
    lab.out(
        "one",
        f"for i in $(seq 50); do ss -Htn state established dst {address}:7000 | grep -q . && break; sleep 0.1; done",
    )
    lab.out("two", "systemctl kill --signal=KILL serve")
    lab.out("one", "sleep 1; systemctl stop watch hold")
    assert lab.out("one", "tcpdump -n -r /tmp/bye 2>/dev/null | wc -l") != "0"


def test_frozen_machine_stands_still_and_goes_on(lab: Lab) -> None:
    lab.out("two", "systemd-run --quiet --unit=count sh -c 'while sleep 0.1; do echo x >>/run/count; done'; sleep 0.5")
    lab.faults.freeze("two")
    assert lab.faults.active() == ("freeze two",)
    with pytest.raises(HostError):
        lab.sh("two", "true", timeout_s=2)
    # Its kernel still answers, as a hung machine's often does.
    assert lab.ping("one", "two", Plane.MANAGEMENT)
    assert lab.redfish("two", "status").stdout.strip().endswith("ON")
    lab.faults.thaw("two")
    first = int(lab.out("two", "wc -l </run/count"))
    time.sleep(0.5)
    assert first < int(lab.out("two", "wc -l </run/count")) < first + 50


def test_frozen_machine_can_have_its_power_cut(lab: Lab) -> None:
    lab.faults.freeze("two")
    assert lab.redfish("two", "off").ok
    assert lab.machine("two").is_off
    assert lab.faults.active() == ()


def test_planes_are_cut_one_by_one_and_by_direction(lab: Lab) -> None:
    for plane in (STORAGE, Plane.TENANT, Plane.EXTERNAL):
        lab.faults.cut(Cut("two", plane))
        assert not lab.ping("one", "two", plane)
        assert lab.ping("one", "two", Plane.MANAGEMENT)
        lab.faults.heal()
        assert lab.ping("one", "two", plane)
    address = lab.host("two").addresses[STORAGE]
    for direction, heard in ((Direction.FROM, True), (Direction.TO, False)):
        lab.out("two", "systemd-run --quiet --unit=hear tcpdump -U -i stor0 -n -w /tmp/heard icmp; sleep 0.5")
        lab.faults.cut(Cut("two", STORAGE, direction))
        assert lab.faults.active() == (f"cut two storage {direction} 100%",)
        lab.out("one", f"ping -n -q -c 2 -i 0.2 -W 1 {address} || true")
        lab.out("two", "systemctl stop hear")
        assert (lab.out("two", "tcpdump -n -r /tmp/heard 2>/dev/null | grep -c request || true") != "0") is heard
        lab.faults.heal()


def test_half_of_the_packets_can_be_lost(lab: Lab) -> None:
    lab.faults.cut(Cut("two", STORAGE, Direction.TO, percent=50))
    done = lab.sh("one", f"ping -n -q -c 60 -i 0.02 -W 1 {lab.host('two').addresses[STORAGE]}")
    received = int(done.stdout.split(" received")[0].split()[-1])
    assert 10 < received < 50


def test_two_machines_are_parted_from_each_other_only(lab: Lab) -> None:
    lab.faults.partition(Plane.MANAGEMENT, ["one"], ["two"])
    assert not lab.ping("one", "two", Plane.MANAGEMENT)
    assert lab.out("one", "hostname") == "one"
    assert lab.out("two", "hostname") == "two"


def test_pulled_cable_is_seen_by_the_machine_and_outlives_its_reboot(lab: Lab) -> None:
    carrier = "cat /sys/class/net/stor0/carrier"
    lab.faults.unplug("two", STORAGE)
    assert lab.out("two", carrier) == "0"
    with lab.machine("two").lock():
        lab.machine("two").cut_power()
    lab.up()
    assert lab.out("two", carrier) == "0"
    lab.faults.heal()
    assert lab.out("two", carrier) == "1"


def test_management_cut_leaves_the_bmc_reachable(lab: Lab) -> None:
    lab.faults.cut(Cut("two", Plane.MANAGEMENT))
    assert lab.redfish("two", "status").ok
    lab.faults.heal()
    lab.faults.cut(Cut("two", Plane.OUT_OF_BAND))
    assert not lab.redfish("two", "status").ok
    assert lab.out("two", "hostname") == "two"


def test_fed_watchdog_is_quiet_and_starved_watchdog_resets(lab: Lab) -> None:
    before = lab.boot_id("two")
    lab.out(
        "two",
        f"for i in $(seq 8); do printf . >/dev/stockade-watchdog; sleep {WATCHDOG_S / 4}; done;"
        " printf V >/dev/stockade-watchdog",
    )
    time.sleep(WATCHDOG_S * 1.5)
    assert lab.boot_id("two") == before
    lab.out("two", "echo kept >/root/w; sync /root/w /root; echo lost >/root/x; printf . >/dev/stockade-watchdog")
    time.sleep(WATCHDOG_S + 1)
    lab.up()
    assert lab.boot_id("two") != before
    assert lab.out("two", "cat /root/w; test ! -e /root/x && echo dropped") == "kept\ndropped"


def test_frozen_machine_is_reset_by_its_watchdog(lab: Lab) -> None:
    before = lab.boot_id("two")
    lab.out("two", "systemd-run --quiet --unit=feed sh -c 'while printf . >/dev/stockade-watchdog; do sleep 0.2; done'")
    time.sleep(1)
    lab.faults.freeze("two")
    time.sleep(WATCHDOG_S + 1)
    lab.up()
    assert lab.boot_id("two") != before


def test_systems_can_shut_down_and_reboot_themselves(lab: Lab) -> None:
    before = lab.boot_id("two")
    lab.out("two", "echo kept >/root/y; systemd-run --quiet sh -c 'sleep 0.2; systemctl reboot'")
    _wait(lambda: "reboot" in (lab.machine("two").state / "warden.log").read_text())
    lab.up()
    assert lab.boot_id("two") != before
    assert lab.out("two", "cat /root/y") == "kept"
    lab.out("two", "systemd-run --quiet sh -c 'sleep 0.2; systemctl poweroff'")
    _wait(lambda: lab.machine("two").is_off)
    assert lab.redfish("two", "status").stdout.strip().endswith("OFF")


def test_debians_redfish_fence_agent_switches_power(lab: Lab) -> None:
    before = lab.boot_id("two")
    assert lab.redfish("two", "reboot").ok
    lab.up()
    assert lab.boot_id("two") != before


@pytest.mark.parametrize("how", [BmcTrouble.IGNORE, BmcTrouble.REFUSE])
def test_bmc_in_trouble_does_not_fence(lab: Lab, how: BmcTrouble) -> None:
    lab.faults.trouble_bmc("two", how)
    assert not lab.redfish("two", "off").ok
    assert lab.machine("two").is_sound


def test_lying_bmc_says_off_while_the_machine_runs(lab: Lab) -> None:
    """The control for every test that trusts a power read-back: it can be made to lie."""
    lab.faults.trouble_bmc("two", BmcTrouble.LIE)
    assert lab.redfish("two", "off").ok
    assert lab.out("two", "hostname") == "two"


def _wait(done, timeout_s: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
