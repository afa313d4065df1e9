"""A user's day: an image, a network with a highly available router, a pet VM with a volume and a floating IP.

Re-running finds what is there and goes on; everything is called `stockade-demo`.
"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openstack

from stockade.build.clients import admin_auth
from stockade.cloud.model import Cloud, Plane
from stockade.errors import StockadeError
from stockade.guest.image import GuestImage
from stockade.guest.page import GuestStatus, parse_status
from stockade.machines.base import Progress

NAME = "stockade-demo"
EXTERNAL_NETWORK = "external"
SERVER_TIMEOUT_S = 300
ANSWER_TIMEOUT_S = 180
POLL_S = 1.0
RAM_MIB = 128
VOLUME_GIB = 1


@dataclass(frozen=True, slots=True)
class Told:
    """How the story ended."""

    address: str
    host: str
    status: GuestStatus


def connect(cloud: Cloud) -> Any:
    """An ordinary client's connection over the external VIP."""
    return openstack.connect(load_yaml_config=False, load_envvars=False, **admin_auth(cloud))


def tell(cloud: Cloud, guest: GuestImage, progress: Progress, say: Callable[[str], None]) -> Told:
    """Do it all and say what happens, with the seconds each step took. Raises StockadeError."""
    user = connect(cloud)
    progress.phase("demo", 6)
    clock = _Clock(say, progress)
    image = _image(user, guest)
    clock.done("an image is uploaded, and lies in Ceph three times")
    network = _networks(user, cloud)
    clock.done("a network, and a router whose traffic moves to another controller when one dies")
    _flavor_and_rules(user)
    volume = _volume(user)
    clock.done(f"a volume of {VOLUME_GIB} GiB")
    server = _server(user, image, network)
    clock.done(f"a pet VM runs on {server.compute_host or server.hypervisor_hostname}")
    _attach(user, server, volume)
    address = _floating_address(user, server, network)
    clock.done(f"the volume is attached, and the VM has the floating address {address}")
    status = wait_for_guest(address)
    _ping(address)
    clock.done(f"it answers pings, and has written {status.writer.last if status.writer else 0} records to its volume")
    return Told(address, server.compute_host or server.hypervisor_hostname, status)


class _Clock:
    def __init__(self, say: Callable[[str], None], progress: Progress) -> None:
        self._say, self._progress, self._at = say, progress, time.monotonic()

    def done(self, sentence: str) -> None:
        now = time.monotonic()
        self._say(f"  {now - self._at:5.1f} s  {sentence}")
        self._at = now
        self._progress.advance()


def _image(user: Any, guest: GuestImage) -> Any:
    """Kernel, ramdisk and disk, under names that carry their content's hash, so that a new guest is a new image."""
    label = guest.ramdisk.parent.name[:12]
    parts = {}
    for kind, path in (("aki", guest.kernel), ("ari", guest.ramdisk)):
        name = f"{NAME}-{kind}-{label}"
        parts[kind] = user.image.find_image(name) or user.create_image(
            name, filename=str(path), container_format=kind, disk_format=kind, visibility="public", wait=True
        )
    name = f"{NAME}-{label}"
    return user.image.find_image(name) or user.create_image(
        name,
        filename=str(guest.disk),
        container_format="bare",
        disk_format="raw",
        visibility="public",
        wait=True,
        kernel_id=parts["aki"].id,
        ramdisk_id=parts["ari"].id,
        **guest.properties(),
    )


def _networks(user: Any, cloud: Cloud) -> Any:
    plane = cloud.networks[Plane.EXTERNAL]
    external = user.network.find_network(EXTERNAL_NETWORK) or user.network.create_network(
        name=EXTERNAL_NETWORK,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="external",
    )
    if not list(user.network.subnets(network_id=external.id)):
        pool = [{"start": str(plane.pool[0]), "end": str(plane.pool[1])}] if plane.pool else []
        user.network.create_subnet(
            name=EXTERNAL_NETWORK, network_id=external.id, ip_version=4, cidr=str(plane.cidr), enable_dhcp=False,
            gateway_ip=str(plane.gateway) if plane.gateway else None, allocation_pools=pool,
        )  # fmt: skip
    network = user.network.find_network(NAME) or user.network.create_network(name=NAME)
    subnets = list(user.network.subnets(network_id=network.id))
    subnet = subnets[0] if subnets else user.network.create_subnet(
        name=NAME, network_id=network.id, ip_version=4, cidr="192.168.66.0/24"
    )  # fmt: skip
    router = user.network.find_router(NAME) or user.network.create_router(
        name=NAME, external_gateway_info={"network_id": external.id}
    )
    if not list(user.network.ports(device_id=router.id, network_id=network.id)):
        user.network.add_interface_to_router(router, subnet_id=subnet.id)
    return network


def _flavor_and_rules(user: Any) -> None:
    if not user.compute.find_flavor(NAME):
        user.compute.create_flavor(name=NAME, ram=RAM_MIB, vcpus=1, disk=1)
    group = user.network.find_security_group(NAME) or user.network.create_security_group(name=NAME)
    if not any(rule.direction == "ingress" for rule in user.network.security_group_rules(security_group_id=group.id)):
        user.network.create_security_group_rule(security_group_id=group.id, direction="ingress", ether_type="IPv4")


def _volume(user: Any) -> Any:
    volume = user.block_storage.find_volume(NAME) or user.block_storage.create_volume(name=NAME, size=VOLUME_GIB)
    if volume.status not in ("available", "in-use"):
        volume = user.block_storage.wait_for_status(volume, "available", failures=["error"], interval=POLL_S, wait=120)
    return volume


def _server(user: Any, image: Any, network: Any) -> Any:
    server = user.compute.find_server(NAME)
    if server is None:
        server = user.compute.create_server(
            name=NAME,
            image_id=image.id,
            flavor_id=user.compute.find_flavor(NAME).id,
            networks=[{"uuid": network.id}],
            security_groups=[{"name": NAME}],
            metadata={"stockade": "pet"},
        )
    elif server.status == "SHUTOFF":
        # Its host has been down since the last time; nothing starts VMs by itself after a boot.
        user.compute.start_server(server)
    server = user.compute.wait_for_server(server, "ACTIVE", failures=["ERROR"], interval=POLL_S, wait=SERVER_TIMEOUT_S)
    return user.compute.get_server(server.id)


def _attach(user: Any, server: Any, volume: Any) -> None:
    if not volume.attachments:
        user.compute.create_volume_attachment(server, volume_id=volume.id)
        user.block_storage.wait_for_status(volume, "in-use", failures=["error"], interval=POLL_S, wait=120)


def _floating_address(user: Any, server: Any, network: Any) -> str:
    port = next(iter(user.network.ports(device_id=server.id, network_id=network.id)))
    floating = next(iter(user.network.ips(port_id=port.id)), None)
    if floating is None:
        external = user.network.find_network(EXTERNAL_NETWORK)
        floating = user.network.create_ip(floating_network_id=external.id, port_id=port.id)
    return str(floating.floating_ip_address)


def wait_for_guest(address: str, *, writes: int = 1, timeout_s: float = ANSWER_TIMEOUT_S) -> GuestStatus:
    """The guest's own status page, once it has written `writes` records to its volume. Raises StockadeError."""
    deadline = time.monotonic() + timeout_s
    why = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5) as page:
                status = parse_status(page.read().decode())
            if status.writer and status.writer.last >= writes:
                return status
            why = "it answers, but has written nothing to its volume"
        except (urllib.error.URLError, OSError, ValueError) as error:
            why = str(error)
        time.sleep(POLL_S)
    raise StockadeError(
        f"the VM at {address} did not answer in {timeout_s:.0f} s: {why}\n"
        f"  next: stockade openstack console log show {NAME}"
    )


def _ping(address: str) -> None:
    done = subprocess.run(["ping", "-c", "3", "-W", "2", "-q", address], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StockadeError(f"{address} answers HTTP but not pings:\n{done.stdout}")
