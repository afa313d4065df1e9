"""`stockade up` killed with SIGKILL at a random point of a large change, and whether the next run converges."""

from __future__ import annotations

import random
import signal
import subprocess
import time

from cloud_handle import COMMAND, Cloud, Up

EARLY_S, LATE_S = 3.0, 60.0
"""Between these the kill falls: from the first facts to well into the rolling restarts."""
FILES = (
    "/etc/nova/nova.conf", "/etc/cinder/cinder.conf", "/etc/neutron/neutron.conf", "/etc/glance/glance-api.conf",
    "/etc/keystone/keystone.conf", "/etc/placement/placement.conf", "/etc/haproxy/haproxy.cfg", "/etc/memcached.conf",
    "/etc/keepalived/keepalived.conf", "/etc/neutron/l3_agent.ini", "/etc/stockade/agent.json", "/etc/default/etcd",
)  # fmt: skip
STOPPED = ("memcached", "glance-api", "cinder-scheduler", "nova-scheduler", "neutron-dhcp-agent", "ceph-mgr@{host}")


def make_work(cloud: Cloud, rng: random.Random, edits: int) -> list[str]:
    """Let much be pending: so many files edited on each controller, units stopped on one, accounts gone."""
    done = []
    for host in cloud.controllers:
        for path in rng.sample(FILES, edits):
            cloud.out(host, f"echo '# by hand' >>{path}")
            done.append(f"{host} {path} edited")
    host = rng.choice(cloud.controllers[1:])
    for unit in rng.sample(STOPPED, 3):
        cloud.out(host, f"systemctl stop {unit.format(host=host)}")
        done.append(f"{host} {unit} stopped")
    first = cloud.controllers[0]
    cloud.out(first, "rabbitmqctl -q delete_user cinder")
    cloud.out(first, "mariadb", stdin="DROP USER 'placement'@'%';")
    compute = rng.choice(cloud.computes)
    cloud.out(compute, "rm /etc/nova/nova-compute.conf")
    return [*done, "messaging user cinder deleted", "account placement dropped", f"{compute} nova-compute.conf deleted"]


def killed_up(cloud: Cloud, after_s: float) -> tuple[bool, str]:
    """Run `up` and kill it after so long: whether it still ran, and what it had said."""
    process = subprocess.Popen(
        [COMMAND, "up"],
        env=cloud.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate(timeout=30)
        return True, said
    return False, said


def converges(cloud: Cloud) -> tuple[Up, float]:
    """The next `up`, which must leave nothing to do and a healthy cloud; and the seconds it took to be so."""
    started = time.monotonic()
    again = cloud.up()
    assert again.healthy
    left = cloud.plan()
    assert left == [], left
    return again, time.monotonic() - started
