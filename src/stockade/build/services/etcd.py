"""etcd: locks of Cinder and Neutron, the agents' keys, later the guard's leases. Three members, TLS both ways."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build import certificates
from stockade.build.context import CA_FILE, ETCD_CLIENT_PORT, Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, Directory, File, Resource, Service, Unit, Where
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Role

PEER_PORT = 2380
CONFIG = "/etc/default/etcd"
KEYS = "/etc/etcd"


def _files(context: Context, host: Host) -> Sequence[File]:
    cloud, timers = context.cloud, context.timers
    certificate, key = certificates.leaf(
        context.secrets, cloud.name, f"etcd.{host.name}", [host.management], [host.name]
    )
    members = ",".join(f"{each.name}=https://{each.management}:{PEER_PORT}" for each in cloud.controllers)
    settings = {
        "ETCD_NAME": host.name,
        "ETCD_DATA_DIR": "/var/lib/etcd/default",
        "ETCD_LISTEN_PEER_URLS": f"https://{host.management}:{PEER_PORT}",
        "ETCD_LISTEN_CLIENT_URLS": f"https://{host.management}:{ETCD_CLIENT_PORT}",
        "ETCD_ADVERTISE_CLIENT_URLS": f"https://{host.management}:{ETCD_CLIENT_PORT}",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"https://{host.management}:{PEER_PORT}",
        "ETCD_INITIAL_CLUSTER": members,
        "ETCD_INITIAL_CLUSTER_TOKEN": context.secrets.uuid("etcd.token"),
        "ETCD_INITIAL_CLUSTER_STATE": "new",
        "ETCD_HEARTBEAT_INTERVAL": timers.etcd_heartbeat_ms,
        "ETCD_ELECTION_TIMEOUT": timers.etcd_election_ms,
        # Old revisions are of no use here; without compaction the store grows for ever.
        "ETCD_AUTO_COMPACTION_RETENTION": "1",
        "ETCD_STRICT_RECONFIG_CHECK": "true",
        "ETCD_TRUSTED_CA_FILE": CA_FILE,
        "ETCD_PEER_TRUSTED_CA_FILE": CA_FILE,
        "ETCD_CERT_FILE": f"{KEYS}/member.pem",
        "ETCD_KEY_FILE": f"{KEYS}/member.key",
        "ETCD_PEER_CERT_FILE": f"{KEYS}/member.pem",
        "ETCD_PEER_KEY_FILE": f"{KEYS}/member.key",
        "ETCD_CLIENT_CERT_AUTH": "true",
        "ETCD_PEER_CLIENT_CERT_AUTH": "true",
    }
    return [
        File(CONFIG, HEADER + "".join(f"{name}={value}\n" for name, value in settings.items())),
        File(f"{KEYS}/member.pem", certificate, group="etcd", mode=0o640),
        File(f"{KEYS}/member.key", key, group="etcd", mode=0o640, secret=True),
        # Packaged: Restart=on-abnormal, so a member that exits 1 (no peers yet) would stay down.
        File(
            dropin_path("etcd"),
            f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n",
        ),
    ]


def endpoints(context: Context) -> str:
    """All members' client URLs, comma-separated."""
    return ",".join(f"https://{host.management}:{ETCD_CLIENT_PORT}" for host in context.cloud.controllers)


def _resources(context: Context, _host: Host) -> Sequence[Resource]:
    fernet = {"0": context.secrets.fernet_key("fernet.0"), "1": context.secrets.fernet_key("fernet.1")}
    credential = {
        "0": context.secrets.fernet_key("credential.0"),
        "1": context.secrets.fernet_key("credential.1"),
    }
    desired = {"endpoints": endpoints(context), "repositories": {"fernet": fernet, "credential": credential}}
    return (Resource("key repositories", "keys", desired, Where.ONE, secret=True),)


def _health(context: Context) -> Sequence[Check]:
    return (
        Check(
            "etcd",
            "etcd",
            {"endpoints": endpoints(context), "members": len(context.cloud.controllers)},
            Where.ONE,
        ),
    )


SERVICE = Service(
    name="etcd",
    roles=frozenset({Role.CONTROLLER}),
    after=("base",),
    packages=("etcd-server", "etcd-client"),
    files=_files,
    directories=(Directory(KEYS),),
    units=(Unit("etcd", reads=(CONFIG, f"{KEYS}/member.pem", f"{KEYS}/member.key", dropin_path("etcd"))),),
    resources=_resources,
    health=_health,
    quorum=True,
)
