"""What a drill needs in the cloud: the demo's VM, and nothing left over of an earlier drill."""

from __future__ import annotations

from typing import Any

from stockade.cloud.model import Cloud
from stockade.demo import story
from stockade.drill.load.acknowledged import PREFIX
from stockade.drill.load.plan import Api
from stockade.drill.scene import Things
from stockade.errors import UsageError

APIS = (
    ("identity", "identity", ""),
    ("compute", "compute", "/servers?limit=5"),
    ("network", "network", "/v2.0/networks?limit=5&fields=id"),
    ("volume", "block-storage", "/volumes?limit=5"),
    ("image", "image", "/v2/images?limit=5"),
    ("placement", "placement", "/resource_providers"),
)
"""Name in the histories, type in the catalog, and a list that is cheap to ask for."""


def prepare(cloud: Cloud) -> Things:
    """Find the demo's VM, start it if it is stopped, and delete what earlier drills left.

    Raises UsageError if the demo was never told, StockadeError if its VM does not answer.
    """
    user = story.connect(cloud)
    server = user.compute.find_server(story.NAME)
    router, volume = user.network.find_router(story.NAME), user.block_storage.find_volume(story.NAME)
    if server is None or router is None or volume is None:
        raise UsageError("a drill looks at the demo's VM, and there is none\n  next: stockade demo")
    _start(user, server)
    address = _floating_address(user, server)
    story.wait_for_guest(address)
    discard(cloud)
    return Things(
        router_id=router.id,
        server_id=server.id,
        volume_id=volume.id,
        guest=address,
        server=_server_body(user),
    )


def discard(cloud: Cloud) -> None:
    """Delete what drills have made; what is not there does no harm."""
    user = story.connect(cloud)
    for server in user.compute.servers(name=f"^{PREFIX}-"):
        user.compute.delete_server(server.id)
    for scope in list(user.network.address_scopes()):
        if scope.name.startswith(f"{PREFIX}-"):
            user.network.delete_address_scope(scope.id)


def apis(cloud: Cloud) -> tuple[Api, ...]:
    """Every API's address at both VIPs, from the cloud's own catalog."""
    session = story.connect(cloud).session

    def url(service: str, interface: str) -> str:
        return str(session.get_endpoint(service_type=service, interface=interface)).rstrip("/")

    return tuple(
        Api(name, url(service, "public"), url(service, "internal"), listing) for name, service, listing in APIS
    )


def _start(user: Any, server: Any) -> None:
    if server.status == "SHUTOFF":
        # Its host was off in an earlier trial; nothing starts VMs by itself after a boot.
        user.compute.start_server(server)
    user.compute.wait_for_server(server, "ACTIVE", failures=["ERROR"], interval=1, wait=story.SERVER_TIMEOUT_S)


def _floating_address(user: Any, server: Any) -> str:
    for port in user.network.ports(device_id=server.id):
        for floating in user.network.ips(port_id=port.id):
            return str(floating.floating_ip_address)
    raise UsageError("the demo's VM has no floating address\n  next: stockade demo")


def _server_body(user: Any) -> dict[str, object]:
    image = next(each for each in user.image.images() if each.name.startswith(story.NAME) and each.disk_format == "raw")
    return {
        "imageRef": image.id,
        "flavorRef": user.compute.find_flavor(story.NAME).id,
        "networks": [{"uuid": user.network.find_network(story.NAME).id}],
    }
