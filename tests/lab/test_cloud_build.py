"""`up` builds a healthy cloud; again it changes nothing; a user's own client works; no secret lies about."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import cloud_secrets
import cloud_units
import pytest
from cloud_footprint import cpu_seconds, memory_mib
from cloud_handle import Cloud
from cloud_measure import record, timed

from stockade.cloud.paths import state_dir

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

SECOND_UP_BOUND_S = 90
"""The goal is 30 s on a quiet computer; a run of all tests shares its two cores."""
MEMORY_BOUND_MIB = 14 * 1024
"""The goal is 12 GiB and is missed (docs/performance.md); this only keeps it from growing."""
IDLE_S = 30


def test_up_ends_with_a_healthy_cloud(built: Cloud) -> None:
    assert built.first_up is not None
    assert built.first_up.healthy
    assert built.unhealthy() == []
    assert built.plan() == []


def test_second_up_changes_and_restarts_nothing(cloud: Cloud) -> None:
    bundles = cloud.prepare().bundles
    before = cloud_units.starts(cloud, bundles)
    again = cloud.up()
    record("up, nothing to do", seconds=again.seconds, goal=30)
    assert (again.changes, again.restarts, again.healthy) == (0, 0, True), again.ran
    assert cloud_units.restarted(before, cloud_units.starts(cloud, bundles)) == set()
    assert again.seconds < SECOND_UP_BOUND_S


def test_status_says_who_leads(cloud: Cloud) -> None:
    text = cloud.ok("status")
    assert text.strip().endswith("healthy")
    assert f"{cloud.vip_holder()} holds the VIPs" in text


def test_openstack_command_issues_a_token(cloud: Cloud) -> None:
    with timed("stockade openstack token issue"):
        assert cloud.ok("openstack", "token", "issue", "-f", "value", "-c", "id").startswith("gAAAA")


def test_ordinary_client_with_the_generated_files(cloud: Cloud) -> None:
    """`eval "$(stockade env)"`, then any client: over HTTPS and the external VIP, checked against the cloud's CA."""
    shell = cloud.ok("env")
    where = dict(line.removeprefix("export ").split("=", 1) for line in shell.splitlines())
    clouds = Path(where["OS_CLIENT_CONFIG_FILE"])
    assert stat.S_IMODE(clouds.stat().st_mode) == 0o600
    assert f"https://{cloud.model.external_vip}:5000" in clouds.read_text()
    client = Path(sys.executable).with_name("openstack")

    def ask() -> subprocess.CompletedProcess[str]:
        argv = ["bash", "-c", f'{shell}\n"{client}" catalog list -f value -c Name']
        return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)

    done = cloud.user(ask)
    assert done.returncode == 0, done.stderr
    assert {"keystone", "glance", "placement", "nova", "neutron", "cinder"} <= set(done.stdout.split())


def test_a_client_that_does_not_know_the_ca_refuses(cloud: Cloud) -> None:
    """The control: that the client above was content says something only if another one is not."""

    def ask() -> int:
        argv = ["curl", "--silent", "--max-time", "10", f"https://{cloud.model.external_vip}:5000/v3"]
        return subprocess.run(argv, capture_output=True, timeout=20, check=False).returncode

    assert cloud.user(ask) == 60  # curl: peer certificate cannot be authenticated


def test_files_of_secrets_are_closed(cloud: Cloud) -> None:
    state = state_dir(cloud.model.name)
    for path in (state / "secrets.json", state / "clouds.yaml", *(state / "bmc").glob("*.password")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    bundles = cloud.prepare().bundles
    for host, bundle in bundles.items():
        paths = sorted({file.path for stage in bundle.stages for file in stage.files if file.secret})
        modes = cloud.out(host, "stat --format='%a %n' " + " ".join(paths)).splitlines()
        open_to_all = [line for line in modes if int(line.split()[0], 8) & 0o007]
        assert open_to_all == [], host


def test_no_secret_in_any_argument_or_journal(cloud: Cloud) -> None:
    secrets = cloud_secrets.values(cloud)
    assert len(secrets) > 30
    canary = "stockade-canary-" + os.urandom(8).hex()
    # The control: the search does find what is there.
    plant = f"logger {canary}; journalctl --sync; systemd-run --quiet --unit=canary bash -c ': {canary}; sleep 300; :'"
    cloud.out("ctl1", plant)
    hidden = {**secrets, "canary": canary}
    try:
        with timed("search of all journals and arguments"):
            found = cloud.python(cloud_secrets.SEARCH, hidden, timeout_s=280)
    finally:
        cloud.sh("ctl1", "systemctl stop canary; systemctl reset-failed canary")
    planted = found["ctl1"]
    assert "canary" in planted["journal"]
    assert any(line.startswith("canary") for line in planted["argv"])
    for host, places in found.items():
        assert [line for line in places["argv"] if not line.startswith("canary")] == [], host
        assert [name for name in places["journal"] if name != "canary"] == [], host


def test_compute_services_wait_for_a_grant_at_boot(cloud: Cloud) -> None:
    for host in cloud.computes:
        units = "libvirtd.service libvirtd.socket libvirt-guests.service nova-compute.service"
        states = cloud.sh(host, f"systemctl is-enabled {units}").stdout.split()
        assert len(states) == 4, host
        assert not {"enabled", "enabled-runtime", "linked"} & set(states), (host, states)
        assert cloud.out(host, "ls /etc/libvirt/qemu/autostart 2>/dev/null | wc -l") == "0"


def test_footprint(cloud: Cloud) -> None:
    """Memory of all machines together, and what they cost while nobody asks them for anything."""
    memory = memory_mib(cloud.model.name)
    before, started = cpu_seconds(cloud.model.name), time.monotonic()
    time.sleep(IDLE_S)  # the measurement itself
    cores = (cpu_seconds(cloud.model.name) - before) / (time.monotonic() - started)
    record("footprint", memory_mib=memory, idle_cores=round(cores, 2), machines=len(cloud.hosts))
    assert memory < MEMORY_BOUND_MIB
