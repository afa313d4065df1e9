"""Nova's control plane: API, metadata, scheduler, conductor and console proxy, all on every controller."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import Setting, reasoned, section
from stockade.build.model import (
    Backend,
    Check,
    Database,
    Directory,
    Endpoint,
    File,
    Resource,
    Service,
    Unit,
    Where,
)
from stockade.build.uwsgi import GRACE_S, daemon_unit, unit_path, uwsgi_api
from stockade.cloud.model import Host, Role

CONFIG = "/etc/nova/nova.conf"
API_PORT, METADATA_PORT, CONSOLE_PORT = 8774, 8775, 6080
# Nova fills these in from [database] and transport_url, so a change of address needs no cell update.
TRANSPORT_TEMPLATE = "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}"
CELL_TEMPLATE = "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}"
CELL0_TEMPLATE = "{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0?{query}"


def settings(context: Context, host: Host) -> list[Setting]:
    """Settings that the control plane and the computes share."""
    timers = context.timers
    return [
        *section("DEFAULT", my_ip=host.management, host=host.name, state_path="/var/lib/nova"),
        *section("DEFAULT", graceful_shutdown_timeout=GRACE_S),
        reasoned(
            "DEFAULT",
            "service_down_time",
            timers.nova_service_down_s,
            "The scheduler stops choosing a dead host this soon; the default is 60.",
        ),
        *section("DEFAULT", report_interval=timers.nova_report_s),
        *context.messaging("nova", host),
        *context.lock_path("nova"),
        *context.token_validation("nova"),
        *context.service_token("nova"),
        *context.cache(),
        *context.auth("placement", "placement", region_name=context.cloud.region, valid_interfaces="internal"),
        *context.auth("neutron", "neutron", region_name=context.cloud.region, valid_interfaces="internal"),
        *context.auth("cinder", "cinder", os_region_name=context.cloud.region, catalog_info="volumev3::internalURL"),
        *section("glance", valid_interfaces="internal", region_name=context.cloud.region, num_retries=3),
        *section("oslo_messaging_notifications", driver="noop"),
        *section("vnc", enabled=True),
        *section("upgrade_levels", compute="auto"),
    ]


def _files(context: Context, host: Host) -> Sequence[File]:
    workers = context.workers(host)
    full = [
        *settings(context, host),
        *context.database("nova"),
        *context.database("nova", "nova_api", group="api_database"),
        *section(
            "neutron",
            service_metadata_proxy=True,
            metadata_proxy_shared_secret=context.secrets.password("metadata.secret"),
        ),
        *section("scheduler", workers=workers, max_attempts=5, discover_hosts_in_cells_interval=300),
        *section("conductor", workers=workers),
        *section("vnc", novncproxy_host=host.management, novncproxy_port=CONSOLE_PORT),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
        *section("oslo_policy", enforce_scope=True),
    ]
    # Nova's API is patched for eventlet, so a process serves one request at a time: two at the least.
    processes = max(2, workers)
    api = uwsgi_api(
        "nova-api",
        user="nova",
        bind=f"{host.management}:{API_PORT}",
        script="/usr/bin/nova-api-wsgi",
        processes=processes,
    )
    metadata = uwsgi_api(
        "nova-api-metadata",
        user="nova",
        bind=f"{host.management}:{METADATA_PORT}",
        script="/usr/bin/nova-metadata-wsgi",
        processes=workers,
    )
    return [
        File(CONFIG, context.ini("nova", full), "root", "nova", 0o640, secret=True),
        *api,
        *metadata,
        *(
            daemon_unit(
                name,
                user="nova",
                command=f"/usr/bin/{name} --config-file {CONFIG}",
                notify=name != "nova-novncproxy",
            )
            for name in ("nova-conductor", "nova-scheduler", "nova-novncproxy")
        ),
    ]


def _cells(_context: Context, _host: Host) -> Sequence[Resource]:
    desired = {
        "kind": "map",
        "cell0": CELL0_TEMPLATE,
        "cell1": CELL_TEMPLATE,
        "transport": TRANSPORT_TEMPLATE,
    }
    return (Resource("cells", "cells", desired, Where.ONE),)


def _health(context: Context) -> Sequence[Check]:
    return (
        Check(
            "nova behind the VIP",
            "http_answers",
            {"url": context.internal_url(API_PORT, "/")},
            Where.ONE,
        ),
        Check(
            "nova metadata behind the VIP",
            "http_answers",
            {"url": context.internal_url(METADATA_PORT, "/healthcheck")},
            Where.ONE,
        ),
        Check("nova daemons", "unit_active", {"units": ["nova-conductor", "nova-scheduler", "nova-novncproxy"]}),
    )


SERVICE = Service(
    name="nova",
    roles=frozenset({Role.CONTROLLER}),
    after=("keystone",),
    packages=("nova-api", "nova-conductor", "nova-scheduler", "nova-consoleproxy", "novnc"),
    files=_files,
    directories=(Directory("/var/lib/nova/lock", "nova", "nova"),),
    units=(
        *(Unit(name, reads=(CONFIG, unit_path(name))) for name in ("nova-conductor", "nova-scheduler")),
        Unit(
            "nova-api",
            reads=(CONFIG, unit_path("nova-api"), "/etc/stockade/uwsgi/nova-api.ini"),
            backend="nova-api",
        ),
        Unit(
            "nova-api-metadata",
            reads=(CONFIG, unit_path("nova-api-metadata"), "/etc/stockade/uwsgi/nova-api-metadata.ini"),
            backend="nova-metadata",
        ),
        Unit("nova-novncproxy", reads=(CONFIG, unit_path("nova-novncproxy")), backend="nova-novncproxy"),
    ),
    database=Database(
        "nova",
        "nova",
        (
            ("nova-manage", "api_db", "sync"),
            ("nova-manage", "cell_v2", "map_cell0", "--database_connection", CELL0_TEMPLATE),
            ("nova-manage", "db", "sync"),
        ),
        ("nova_api", "nova_cell0"),
        package="nova-conductor",
    ),
    account="nova",
    vhost="nova",
    endpoint=Endpoint("compute", "nova", API_PORT, "/v2.1"),
    backends=(
        Backend("nova-api", API_PORT, check="/"),
        Backend("nova-metadata", METADATA_PORT, external=False),
        Backend("nova-novncproxy", CONSOLE_PORT, check="/vnc_lite.html", timeout_s=3600),
    ),
    before_start=_cells,
    health=_health,
)
