"""What a user of the cloud does, over the external VIP. Call it in a thread of `Cloud.user`."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import openstack
from cloud_handle import Cloud

from stockade.build.clients import admin_auth
from stockade.cloud.model import Cloud as Model
from stockade.demo.story import EXTERNAL_NETWORK, NAME
from stockade.guest.page import GuestStatus, parse_status

ANSWER_S = 20
"""How long one request may take before its user gives up."""
BOOT_S, VOLUME_S = 120, 60


def connect(model: Model, answer_s: float = ANSWER_S) -> Any:
    """A new connection: its first request issues a token."""
    return openstack.connect(load_yaml_config=False, load_envvars=False, api_timeout=answer_s, **admin_auth(model))


def token(model: Model, answer_s: float = ANSWER_S) -> None:
    """Issue a token."""
    assert connect(model, answer_s).authorize()


def all_apis(model: Model, answer_s: float = ANSWER_S) -> None:
    """A token, and one list from each API."""
    user = connect(model, answer_s)
    assert list(user.identity.projects())
    assert list(user.image.images(limit=5))
    assert list(user.placement.resource_providers())
    assert list(user.network.networks())
    list(user.compute.servers(limit=5))
    list(user.block_storage.volumes(limit=5))


def download(model: Model) -> int:
    """Download the demo's image and compare it with its digest; bytes."""
    user = connect(model)
    image = next(each for each in user.image.images() if each.name.startswith(NAME) and each.disk_format == "raw")
    digest = hashlib.new(image.hash_algo)
    size = 0
    answer = user.image.download_image(image, stream=True)
    for chunk in answer.iter_content(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    answer.close()
    assert size == image.size
    assert digest.hexdigest() == image.hash_value
    return size


def boot_and_delete(model: Model, zone: str = "") -> str:
    """Boot a VM beside the demo's, wait until it is active, delete it; the host it ran on."""
    user = connect(model)
    image = next(each for each in user.image.images() if each.name.startswith(NAME) and each.disk_format == "raw")
    server = user.compute.create_server(
        name=f"test-{uuid.uuid4().hex[:8]}",
        image_id=image.id,
        flavor_id=user.compute.find_flavor(NAME).id,
        networks=[{"uuid": user.network.find_network(NAME).id}],
        **({"availability_zone": zone} if zone else {}),
    )
    try:
        user.compute.wait_for_server(server, "ACTIVE", failures=["ERROR"], interval=1, wait=BOOT_S)
        return str(user.compute.get_server(server.id).hypervisor_hostname)
    finally:
        user.compute.delete_server(server.id)
        user.compute.wait_for_delete(server, interval=1, wait=BOOT_S)


def volume_and_delete(model: Model) -> None:
    """Make a volume and delete it."""
    user = connect(model)
    volume = user.block_storage.create_volume(name=f"test-{uuid.uuid4().hex[:8]}", size=1)
    try:
        user.block_storage.wait_for_status(volume, "available", failures=["error"], interval=1, wait=VOLUME_S)
    finally:
        user.block_storage.delete_volume(volume.id)
        user.block_storage.wait_for_delete(volume, interval=1, wait=VOLUME_S)


def demo_address(model: Model) -> str:
    """The demo VM's floating address."""
    user = connect(model)
    server = user.compute.find_server(NAME)
    assert server is not None, "the demo's VM is not there"
    ports = [port.id for port in user.network.ports(device_id=server.id)]
    external = user.network.find_network(EXTERNAL_NETWORK)
    found = [each for each in user.network.ips(floating_network_id=external.id) if each.port_id in ports]
    return str(found[0].floating_ip_address)


def demo_host(model: Model) -> str:
    """The compute that the demo VM runs on."""
    user = connect(model)
    return str(user.compute.get_server(user.compute.find_server(NAME).id).hypervisor_hostname)


def page(address: str, answer_s: float = 5) -> GuestStatus:
    """The demo VM's own status page."""
    with urllib.request.urlopen(f"http://{address}/", timeout=answer_s) as answer:
        return parse_status(answer.read().decode())


def ping(address: str) -> bool:
    """True if the address answers three pings."""
    argv = ["ping", "-n", "-q", "-c", "3", "-i", "0.3", "-W", "2", address]
    return subprocess.run(argv, capture_output=True, timeout=20, check=False).returncode == 0


@dataclass
class Poller:
    """One request, sent again and again: how many failed, and the longest stretch without a success."""

    name: str
    request: Callable[[], object]
    every_s: float
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    window_s: float = 0.0
    """From the first failed request's start to the next success's end: an upper bound of the outage."""
    last_ok_at: float = 0.0

    def once(self, down_since: float | None) -> float | None:
        """Send one request; since when it fails, or None."""
        started = time.monotonic()
        self.sent += 1
        try:
            self.request()
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}"[:200])
            return down_since if down_since is not None else started
        self.last_ok_at = time.monotonic()
        if down_since is not None:
            self.window_s = max(self.window_s, self.last_ok_at - down_since)
        return None

    def run(self, stop: threading.Event) -> None:
        """Send requests until `stop`; an outage that lasts to the end counts as long as it was seen."""
        down_since: float | None = None
        while not stop.wait(self.every_s):
            down_since = self.once(down_since)
        if down_since is not None:
            self.window_s = max(self.window_s, time.monotonic() - down_since)


@contextmanager
def polling(cloud: Cloud, *pollers: Poller) -> Iterator[None]:
    """Run the pollers beside the block, each in a thread on the external network."""
    stop = threading.Event()

    def work(poller: Poller) -> None:
        cloud.machines.attach()
        poller.run(stop)

    threads = [threading.Thread(target=work, args=(poller,), daemon=True) for poller in pollers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
