"""Cinder: API and scheduler on every controller, and volume services that share one cluster's work."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build import certificates
from stockade.build.context import Context
from stockade.build.ini import reasoned, section
from stockade.build.model import Backend, Check, Database, Directory, Endpoint, File, Service, Unit, Where
from stockade.build.services.ceph import CONFIG as CEPH_CONFIG
from stockade.build.services.ceph import client_files
from stockade.build.services.keystone import admin
from stockade.build.uwsgi import GRACE_S, STEADY_S, daemon_unit, unit_path, uwsgi_api
from stockade.cloud.model import Host, Role, names

CONFIG = "/etc/cinder/cinder.conf"
PORT = 8776
BACKEND = "rbd"
KEYS = "/etc/cinder/etcd"
READS = (
    CONFIG,
    CEPH_CONFIG,
    "/etc/ceph/ceph.client.cinder.keyring",
    f"{KEYS}/etcd-client.pem",
    f"{KEYS}/etcd-client.key",
)


def _files(context: Context, host: Host) -> Sequence[File]:
    cloud = context.cloud
    certificate, key = certificates.leaf(context.secrets, cloud.name, f"cinder.{host.name}", [host.management])
    settings = [
        *section(
            "DEFAULT",
            my_ip=host.management,
            host=host.name,
            state_path="/var/lib/cinder",
            auth_strategy="keystone",
        ),
        *section(
            "DEFAULT",
            enabled_backends=BACKEND,
            default_volume_type="__DEFAULT__",
            rootwrap_config="/etc/cinder/rootwrap.conf",
        ),
        reasoned("DEFAULT", "cluster", cloud.name, "Active/active: any member may take any volume's work."),
        reasoned("DEFAULT", "graceful_shutdown_timeout", GRACE_S, "Let a volume being made be finished."),
        reasoned(
            "DEFAULT",
            "service_down_time",
            context.timers.nova_service_down_s,
            "The scheduler stops choosing a dead volume service this soon; the default is 60.",
        ),
        *section("DEFAULT", report_interval=context.timers.nova_report_s),
        *section("DEFAULT", glance_api_servers=context.internal_url(9292), enable_force_upload=True),
        *context.messaging("cinder", host),
        *context.lock_path("cinder"),
        *context.database("cinder"),
        *context.token_validation("cinder"),
        *context.service_token("cinder"),
        *context.auth("nova", "nova", region_name=context.cloud.region, interface="internal"),
        reasoned(
            "coordination",
            "backend_url",
            context.coordination_url(host, KEYS),
            "Locks across controllers; the default, a file, locks nothing between hosts.",
        ),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
        *section("oslo_messaging_notifications", driver="noop"),
        *section(
            BACKEND,
            volume_driver="cinder.volume.drivers.rbd.RBDDriver",
            volume_backend_name=BACKEND,
            rbd_pool="volumes",
            rbd_ceph_conf=CEPH_CONFIG,
            rbd_user="cinder",
            rbd_secret_uuid=context.secrets.uuid("libvirt.secret"),
            rados_connect_timeout=20,
            report_discard_supported=True,
        ),
    ]
    api = uwsgi_api(
        "cinder-api",
        user="cinder",
        bind=f"{host.management}:{PORT}",
        script="/usr/bin/cinder-wsgi",
        processes=context.workers(host),
        threads=8,
    )
    return [
        File(CONFIG, context.ini("cinder", settings), "root", "cinder", 0o640, secret=True),
        *client_files(context, "cinder", "cinder"),
        File(f"{KEYS}/etcd-client.pem", certificate, "root", "cinder", 0o640),
        File(f"{KEYS}/etcd-client.key", key, "root", "cinder", 0o640, secret=True),
        *api,
        *(
            daemon_unit(name, user="cinder", command=f"/usr/bin/{name} --config-file {CONFIG}")
            for name in ("cinder-scheduler", "cinder-volume")
        ),
    ]


def _health(context: Context) -> Sequence[Check]:
    controllers = list(names(context.cloud.controllers))
    expected = {"cinder-scheduler": controllers, "cinder-volume": controllers}
    return (
        Check(
            "cinder behind the VIP",
            "http_answers",
            {"url": context.internal_url(PORT, "/healthcheck")},
            Where.ONE,
        ),
        Check("cinder daemons", "unit_active", {"units": ["cinder-scheduler", "cinder-volume"], "steady_s": STEADY_S}),
        Check(
            "cinder services",
            "agents_alive",
            {"auth": admin(context), "kind": "volume", "expected": expected},
            Where.ONE,
            180,
        ),
    )


SERVICE = Service(
    name="cinder",
    roles=frozenset({Role.CONTROLLER}),
    after=("keystone", "ceph-osd"),
    # open-iscsi by name: cinder-volume depends on `tgt | open-iscsi`, and apt would take tgt, a daemon nobody wants.
    packages=("cinder-api", "cinder-scheduler", "cinder-volume", "open-iscsi", "python3-rbd"),
    files=_files,
    directories=(
        Directory("/var/lib/cinder/lock", "cinder", "cinder"),
        Directory(KEYS, "root", "cinder", 0o750),
    ),
    units=(
        Unit(
            "cinder-api",
            reads=(*READS, unit_path("cinder-api"), "/etc/stockade/uwsgi/cinder-api.ini"),
            backend="cinder",
        ),
        Unit("cinder-scheduler", reads=(*READS, unit_path("cinder-scheduler"))),
        Unit("cinder-volume", reads=(*READS, unit_path("cinder-volume"))),
    ),
    database=Database("cinder", "cinder", (("cinder-manage", "db", "sync"),), package="cinder-api"),
    account="cinder",
    vhost="cinder",
    endpoint=Endpoint("block-storage", "cinder", PORT, "/v3"),
    backends=(Backend("cinder", PORT),),
    health=_health,
)
