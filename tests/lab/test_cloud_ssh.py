"""The lab's machines as somebody's servers: `machines: ssh`, from a computer on their network. Nothing may tell."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cloud_handle import COMMAND, UP_TIMEOUT_S, Cloud, Ran, summary
from cloud_measure import record
from ruamel.yaml import YAML

from stockade.cloud.load import lab_example, load
from stockade.cloud.model import Cloud as Model
from stockade.cloud.model import Plane
from stockade.machines.fake import FakeProgress
from stockade.machines.lab.network import operator_name

PROOF = Path(__file__).parents[2] / "docs" / "proof" / "built-over-ssh.json"


def as_servers(model: Model, path: Path) -> Path:
    """The same cloud written down as servers: every default of a lab spelt out, and nothing else."""
    hosts = {}
    for host in model.hosts:
        assert host.bmc is not None
        hosts[host.name] = {
            "roles": [str(role) for role in sorted(host.roles)],
            "addresses": {str(plane): str(address) for plane, address in host.addresses.items()},
            "address": str(host.management),
            "ssh": {"key_file": str(host.ssh.key_file), "known_hosts": str(host.ssh.known_hosts)},
            "bmc": {
                "url": host.bmc.url,
                "username": host.bmc.username,
                "password_file": str(host.bmc.password_file),
                "serial": host.bmc.serial,
                "ca_file": str(host.bmc.ca_file),
            },
            "nics": {str(plane): nic for plane, nic in host.nics.items()},
        } | ({"osd_disks": list(host.osd_disks)} if host.osd_disks else {})
    networks = {}
    for plane, network in model.networks.items():
        entry: dict[str, object] = {"cidr": str(network.cidr)}
        if network.vip:
            entry["vip"] = str(network.vip)
        if plane is Plane.TENANT:
            entry["segmentation"] = str(network.segmentation)
            if network.vlans:
                entry["vlans"] = "-".join(map(str, network.vlans))
        if plane is Plane.EXTERNAL:
            entry |= {"gateway": str(network.gateway)}
            if network.pool:
                entry["pool"] = "-".join(map(str, network.pool))
        networks[str(plane)] = entry
    document = {
        "name": model.name,
        "machines": "ssh",
        "hosts": hosts,
        "networks": networks,
        "ha_profile": str(model.ha_profile),
        "tuning": {"api_workers": model.api_workers},
    }
    with path.open("w") as file:
        YAML().dump(document, file)
    return path


@pytest.fixture
def servers(cloud: Cloud, tmp_path: Path) -> Path:
    """The cloud file of the lab's machines as servers."""
    return as_servers(cloud.model, tmp_path / "servers.yaml")


def from_their_network(cloud: Cloud, file: Path, *arguments: str, timeout_s: float = 300) -> Ran:
    """`stockade ARGUMENTS` on a computer that is on the servers' network and knows nothing of a lab."""
    command = ["ip", "netns", "exec", operator_name(cloud.model.name), COMMAND, *arguments]
    started = time.monotonic()
    done = subprocess.run(
        command,
        env={**os.environ, "STOCKADE_CLOUD": str(file), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ran(arguments, done.returncode, done.stdout, done.stderr, time.monotonic() - started)


@pytest.mark.lab
def test_the_file_means_the_same_cloud(cloud: Cloud, servers: Path) -> None:
    written = load(servers)
    assert [host.addresses for host in written.hosts] == [host.addresses for host in cloud.model.hosts]
    assert written.networks == cloud.model.networks
    assert written.vrid == cloud.model.vrid


@pytest.mark.lab
def test_preflight_finds_nothing_wrong_with_the_servers(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "preflight", "--json")
    assert ran.returncode == 0, str(ran)
    findings = json.loads(ran.stdout)
    assert {finding["host"] for finding in findings} >= set(cloud.hosts)
    assert sum("BMC answers" in finding["sentence"] for finding in findings) == len(cloud.hosts)


@pytest.mark.lab
def test_the_same_cloud_over_ssh_has_nothing_to_change(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "plan", "--json", "--no-diff")
    assert ran.returncode == 0, str(ran)
    assert json.loads(ran.stdout) == []


@pytest.mark.lab
def test_a_host_is_mended_over_ssh(cloud: Cloud, servers: Path) -> None:
    """What was taken away is built again through nothing but SSH."""
    host = cloud.computes[-1]
    cloud.ok("exec", host, "--", "sh", "-c", "rm /etc/nova/nova-compute.conf && systemctl stop nova-compute")
    ran = from_their_network(cloud, servers, "up", timeout_s=600)
    assert ran.returncode == 0, str(ran)
    assert cloud.plan() == []


@pytest.mark.lab
def test_down_refuses_to_touch_servers(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "down")
    assert ran.returncode != 0
    assert not cloud.unhealthy()


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_a_whole_cloud_is_built_on_servers() -> None:
    """Empty Debian machines, reached through nothing but SSH, become a cloud with a VM on it.

    Resumable: it is not run again while its result is on file.
    """
    if not PROOF.exists():
        cloud = Cloud(lab_example())
        try:
            figures = _build_on_empty_servers(cloud)
        finally:
            cloud.close()
        PROOF.parent.mkdir(parents=True, exist_ok=True)
        PROOF.write_text(json.dumps(figures, indent=1) + "\n")
    figures = json.loads(PROOF.read_text())
    record("whole cloud over SSH", **figures)
    assert figures["healthy"]


def _build_on_empty_servers(cloud: Cloud) -> dict[str, object]:
    """Machines with nothing on them, then everything else as a user of servers does it."""
    cloud.ok("down", "--purge", timeout_s=300)
    cloud.do(cloud.machines.up(FakeProgress()), timeout_s=900)
    with tempfile.TemporaryDirectory() as directory:
        file = as_servers(cloud.model, Path(directory) / "servers.yaml")
        first = from_their_network(cloud, file, "up", timeout_s=UP_TIMEOUT_S)
        assert first.returncode == 0, str(first)
        up = summary(first)
        assert up.changes > 500, str(first)
        again = from_their_network(cloud, file, "up", timeout_s=UP_TIMEOUT_S)
        assert again.returncode == 0, str(again)
        assert (summary(again).changes, summary(again).restarts) == (0, 0), str(again)
        demo = from_their_network(cloud, file, "demo", timeout_s=600)
        assert demo.returncode == 0, str(demo)
        status = from_their_network(cloud, file, "status")
        assert status.returncode == 0, str(status)
    return {
        "up_s": round(first.seconds, 1),
        "changes": up.changes,
        "second_up_s": round(again.seconds, 1),
        "demo_s": round(demo.seconds, 1),
        "healthy": up.healthy,
    }
