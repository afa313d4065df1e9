"""The lab's machines as somebody's servers: `machines: ssh`, from a computer on their network. Nothing may tell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from cloud_handle import COMMAND, Cloud, Ran
from ruamel.yaml import YAML

from stockade.cloud.load import load
from stockade.cloud.model import Cloud as Model
from stockade.cloud.model import Plane
from stockade.machines.lab.network import operator_name

pytestmark = pytest.mark.lab


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
    done = subprocess.run(
        command,
        env={**os.environ, "STOCKADE_CLOUD": str(file), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Ran(arguments, done.returncode, done.stdout, done.stderr, 0.0)


def test_the_file_means_the_same_cloud(cloud: Cloud, servers: Path) -> None:
    written = load(servers)
    assert [host.addresses for host in written.hosts] == [host.addresses for host in cloud.model.hosts]
    assert written.networks == cloud.model.networks
    assert written.vrid == cloud.model.vrid


def test_preflight_finds_nothing_wrong_with_the_servers(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "preflight", "--json")
    assert ran.returncode == 0, str(ran)
    findings = json.loads(ran.stdout)
    assert {finding["host"] for finding in findings} >= set(cloud.hosts)
    assert sum("BMC answers" in finding["sentence"] for finding in findings) == len(cloud.hosts)


def test_the_same_cloud_over_ssh_has_nothing_to_change(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "plan", "--json", "--no-diff")
    assert ran.returncode == 0, str(ran)
    assert json.loads(ran.stdout) == []


def test_a_host_is_mended_over_ssh(cloud: Cloud, servers: Path) -> None:
    """What was taken away is built again through nothing but SSH."""
    host = cloud.computes[-1]
    cloud.ok("exec", host, "--", "sh", "-c", "rm /etc/nova/nova-compute.conf && systemctl stop nova-compute")
    ran = from_their_network(cloud, servers, "up", timeout_s=600)
    assert ran.returncode == 0, str(ran)
    assert cloud.plan() == []


def test_down_refuses_to_touch_servers(cloud: Cloud, servers: Path) -> None:
    ran = from_their_network(cloud, servers, "down")
    assert ran.returncode != 0
    assert not cloud.unhealthy()
