"""Glance: images in Ceph, so any controller can serve any of them, mid-download included (a client retries)."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import reasoned, section
from stockade.build.model import Backend, Check, Database, Directory, Endpoint, File, Service, Unit, Where
from stockade.build.services.ceph import CONFIG as CEPH_CONFIG
from stockade.build.services.ceph import client_files
from stockade.build.uwsgi import daemon_unit, unit_path
from stockade.cloud.model import Host, Role

CONFIG = "/etc/glance/glance-api.conf"
PORT = 9292
TRANSFER_S = 6 * 3600
"""The longest upload or download HAProxy lets pass."""


def _files(context: Context, host: Host) -> Sequence[File]:
    settings = [
        *section("DEFAULT", bind_host=host.management, bind_port=PORT, workers=_workers(context, host)),
        *section(
            "DEFAULT",
            enabled_backends="rbd:rbd",
            enabled_import_methods="[glance-direct,web-download,copy-image]",
        ),
        reasoned(
            "DEFAULT",
            "show_image_direct_url",
            True,
            "Lets Nova and Cinder clone in Ceph instead of downloading.",
        ),
        reasoned(
            "DEFAULT",
            "worker_self_reference_url",
            f"http://{host.management}:{PORT}",
            "Staging is on one controller: the import call that lands on another is passed on to it.",
        ),
        *context.messaging("glance", host),
        *context.lock_path("glance"),
        *context.database("glance"),
        *context.token_validation("glance"),
        *section("paste_deploy", flavor="keystone"),
        *section("glance_store", default_backend="rbd"),
        *section(
            "rbd",
            rbd_store_pool="images",
            rbd_store_user="glance",
            rbd_store_ceph_conf=CEPH_CONFIG,
            rbd_store_chunk_size=8,
            # Without a bound, one request against a Ceph without quorum hangs its worker.
            rados_connect_timeout=20,
        ),
        *section("os_glance_staging_store", filesystem_store_datadir="/var/lib/glance/staging"),
        *section("os_glance_tasks_store", filesystem_store_datadir="/var/lib/glance/tasks"),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
        *section("oslo_messaging_notifications", driver="noop"),
    ]
    return [
        File(CONFIG, context.ini("glance", settings), "root", "glance", 0o640, secret=True),
        *client_files(context, "glance", "glance"),
        daemon_unit("glance-api", user="glance", command=f"/usr/bin/glance-api --config-file {CONFIG}"),
    ]


def _workers(context: Context, host: Host) -> int:
    """0 serves from the one process there is; a worker beside it would cost as much again."""
    return 0 if context.small else context.workers(host)


def _health(context: Context) -> Sequence[Check]:
    return (
        Check(
            "glance behind the VIP",
            "http_answers",
            {"url": context.internal_url(PORT, "/healthcheck")},
            Where.ONE,
        ),
    )


SERVICE = Service(
    name="glance",
    roles=frozenset({Role.CONTROLLER}),
    after=("keystone", "ceph-osd"),
    packages=("glance-api", "python3-rbd", "python3-rados"),
    files=_files,
    directories=(
        Directory("/var/lib/glance/lock", "glance", "glance"),
        Directory("/var/lib/glance/staging", "glance", "glance", 0o750),
        Directory("/var/lib/glance/tasks", "glance", "glance", 0o750),
    ),
    units=(
        Unit(
            "glance-api",
            reads=(CONFIG, unit_path("glance-api"), CEPH_CONFIG, "/etc/ceph/ceph.client.glance.keyring"),
            backend="glance",
        ),
    ),
    database=Database("glance", "glance", (("glance-manage", "db_sync"),), package="glance-api"),
    account="glance",
    vhost="glance",
    endpoint=Endpoint("image", "glance", PORT),
    backends=(Backend("glance", PORT, timeout_s=TRANSFER_S),),
    health=_health,
)
