"""The loss of any one controller, and of any one process: users go on, and it heals without a human step."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cloud_user
import pytest
from cloud_handle import Cloud, poll
from cloud_measure import record
from cloud_user import Poller, polling

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

SETTLE_S = 60
"""Whatever is begun this long after a power cut must succeed at the first try. Tokens, lists and traffic are asked for
all the time from the cut on; what stands on brokers and reports of daemons waits for the bound."""
RETURN_S = 300
SERVE_S = 30
"""How long after a process's death a token and a list from every API may take."""
HEAL_S = 90
POLL_ANSWER_S = 5


@pytest.mark.parametrize("number", [1, 2, 3])
def test_power_cut_of_a_controller(cloud: Cloud, number: int) -> None:
    victim = cloud.controllers[number - 1]
    model = cloud.model
    address = cloud.user(lambda: cloud_user.demo_address(model))
    counted = cloud.user(lambda: cloud_user.page(address)).writer.last
    held_vip = cloud.vip_holder() == victim
    tokens = Poller("token", lambda: cloud_user.token(model, POLL_ANSWER_S), 0.5)
    traffic = Poller("traffic", lambda: cloud_user.page(address, 2), 0.25)
    figures: dict[str, float | str | bool] = {"host": victim, "held_vip": held_vip}
    try:
        with polling(cloud, tokens, traffic):
            cloud.ok("power", victim, "off")
            cut_at = time.monotonic()
            poll(
                "a list from every API",
                lambda: cloud.user(lambda: cloud_user.all_apis(model, POLL_ANSWER_S)) is None,
                timeout_s=SETTLE_S,
            )
            figures["every_api_again_s"] = time.monotonic() - cut_at
            poll("traffic through the router", lambda: traffic.last_ok_at > cut_at, timeout_s=SETTLE_S, every_s=0.2)
            poll("the bound", lambda: time.monotonic() - cut_at > SETTLE_S, timeout_s=2 * SETTLE_S)
            operations: dict[str, Callable[[], object]] = {
                "token": lambda: cloud_user.token(model),
                "image": lambda: cloud_user.download(model),
                "volume": lambda: cloud_user.volume_and_delete(model),
                "boot": lambda: cloud_user.boot_and_delete(model),
                "ping": lambda: pytest.fail("no answer") if not cloud_user.ping(address) else None,
            }
            with ThreadPoolExecutor(len(operations)) as pool:
                begun = {name: pool.submit(_timed, cloud, operation) for name, operation in operations.items()}
                figures |= {f"{name}_s": each.result() for name, each in begun.items()}
        page = cloud.user(lambda: cloud_user.page(address))
        assert page.writer.last > counted
        assert page.writer.gaps == 0
    finally:
        cloud.forget(victim)
        cloud.ok("power", victim, "on")
        back_at = time.monotonic()
        figures |= {f"{each.name}_window_s": each.window_s for each in (tokens, traffic)}
        figures |= {f"{each.name}_failed": f"{len(each.failures)}/{each.sent}" for each in (tokens, traffic)}
        try:
            cloud.wait_healthy(RETURN_S)
            figures["healthy_again_s"] = time.monotonic() - back_at
        finally:
            record("power cut", **figures)
    assert cloud.plan() == []


def _timed(cloud: Cloud, operation: Callable[[], object]) -> float:
    """Seconds that a user's operation took."""
    began = time.monotonic()
    cloud.user(operation, timeout_s=300)
    return time.monotonic() - began


@dataclass(frozen=True)
class Victim:
    """A process to kill: the main one of a unit, or with `child` one of its children of that name."""

    unit: str
    where: str = "vip"
    child: str = ""

    def __str__(self) -> str:
        where = " on the demo's compute" if self.where == "vm" else ""
        return self.unit.replace("{host}", "") + (f" (child {self.child})" if self.child else "") + where


VICTIMS = (
    Victim("haproxy"),
    Victim("haproxy", child="haproxy"),
    Victim("keepalived"),
    Victim("mariadb", "writer"),
    Victim("rabbitmq-server"),
    Victim("memcached"),
    Victim("etcd"),
    Victim("ceph-mon@{host}"),
    Victim("ceph-mgr@{host}", "mgr"),
    Victim("ceph-osd@", "vip"),
    Victim("keystone"),
    Victim("keystone", child="uwsgi"),
    Victim("glance-api"),
    Victim("placement-api"),
    Victim("nova-api"),
    Victim("nova-api-metadata"),
    Victim("nova-novncproxy"),
    Victim("nova-conductor"),
    Victim("nova-scheduler"),
    Victim("neutron-api"),
    Victim("neutron-rpc-server"),
    Victim("neutron-periodic-workers"),
    Victim("neutron-openvswitch-agent"),
    Victim("neutron-l3-agent"),
    Victim("neutron-dhcp-agent"),
    Victim("neutron-metadata-agent"),
    Victim("ovs-vswitchd"),
    Victim("ovsdb-server"),
    Victim("cinder-api"),
    Victim("cinder-scheduler"),
    Victim("cinder-volume"),
    Victim("stockade-agent"),
    Victim("stockade-agent", "vm"),
    Victim("neutron-openvswitch-agent", "vm"),
    Victim("libvirtd", "vm"),
    Victim("nova-compute", "vm"),
)

# Kills one process of a unit and prints which; a child must be the unit's own and not its main process.
KILL = """
set -e
main=$(systemctl show --property=MainPID --value "$UNIT")
[ "$main" != 0 ]
victim=$main
if [ -n "$CHILD" ]; then
  group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value "$UNIT")
  victim=$(for each in $(cat $group/cgroup.procs); do
    [ $each != $main ] && [ "$(cat /proc/$each/comm)" = "$CHILD" ] && echo $each; done | head -1)
fi
kill -9 $victim
echo $victim
"""


_unproven: list[str] = ["whatever came before"]
"""Kills after which the cloud has not been seen healthy: the next one would start from a broken cloud."""


@pytest.mark.parametrize("victim", VICTIMS, ids=str)
def test_kill_of_a_process(built: Cloud, victim: Victim) -> None:
    cloud, model = built, built.model
    if _unproven:
        cloud.heal()
    _unproven.append(str(victim))
    host = _host(cloud, victim)
    unit = victim.unit.format(host=host)
    if unit == "ceph-osd@":
        unit = cloud.out(host, "systemctl list-units --plain --no-legend 'ceph-osd@*' | cut -d' ' -f1 | head -1")
    killed = cloud.out(host, f"UNIT={unit} CHILD='{victim.child}'; {KILL}")
    died_at = time.monotonic()
    poll(
        "a token and a list from every API",
        lambda: cloud.user(lambda: cloud_user.all_apis(model, POLL_ANSWER_S)) is None,
        timeout_s=SERVE_S,
        every_s=0.2,
    )
    served_s = time.monotonic() - died_at
    poll(f"{unit} to run again", lambda: _runs_anew(cloud, host, unit, killed), timeout_s=HEAL_S)
    cloud.wait_healthy(HEAL_S - (time.monotonic() - died_at))
    _unproven.clear()
    record("kill -9", unit=str(victim), host=host, served_s=served_s, healthy_s=time.monotonic() - died_at)


def test_nothing_was_left_behind_by_the_kills(cloud: Cloud) -> None:
    """The VM lived through all of it, its counter has no gap, and the build finds nothing to do."""
    model = cloud.model
    address = cloud.user(lambda: cloud_user.demo_address(model))
    page = cloud.user(lambda: cloud_user.page(address))
    assert page.writer.gaps == 0
    assert cloud.user(lambda: cloud_user.ping(address))
    cloud.user(lambda: cloud_user.boot_and_delete(model), timeout_s=300)
    cloud.user(lambda: cloud_user.volume_and_delete(model), timeout_s=200)
    assert cloud.plan() == []


def _host(cloud: Cloud, victim: Victim) -> str:
    """The most interesting host of a victim: who holds the VIP, writes, leads, or runs the demo's VM."""
    if victim.where == "vm":
        return cloud.user(lambda: cloud_user.demo_host(cloud.model))
    if victim.where == "mgr":
        return cloud.out(cloud.controllers[0], 'ceph mgr stat -f json | grep -oP \'"active_name":\\s*"\\K[^"]+\'')
    if victim.where == "writer":
        return cloud.controllers[0]
    return cloud.vip_holder()


def _runs_anew(cloud: Cloud, host: str, unit: str, killed: str) -> bool:
    state = cloud.out(host, f"systemctl is-active {unit} || true; [ ! -e /proc/{killed}/exe ] && echo gone || true")
    return state.split() == ["active", "gone"]
