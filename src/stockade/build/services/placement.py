"""Placement: what each compute has and what of it is taken."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import section
from stockade.build.model import Backend, Check, Database, Endpoint, File, Service, Unit, Where
from stockade.build.uwsgi import unit_path, uwsgi_api
from stockade.cloud.model import Host, Role

CONFIG = "/etc/placement/placement.conf"
PORT = 8778


def _files(context: Context, host: Host) -> Sequence[File]:
    settings = [
        *section("api", auth_strategy="keystone"),
        *(
            setting
            for setting in context.database("placement", group="placement_database")
            # Placement has a database section of its own making, without oslo.db's own retries.
            if setting.option not in ("db_max_retries", "db_max_retry_interval")
        ),
        *context.token_validation("placement"),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
    ]
    unit, ini = uwsgi_api(
        "placement-api",
        user="placement",
        bind=f"{host.management}:{PORT}",
        script="/usr/bin/placement-api",
        processes=context.workers(host),
        threads=8,
    )
    return [
        File(CONFIG, context.ini("placement", settings), "root", "placement", 0o640, secret=True),
        unit,
        ini,
    ]


def _health(context: Context) -> Sequence[Check]:
    return (Check("placement behind the VIP", "http_answers", {"url": context.internal_url(PORT, "/")}, Where.ONE),)


SERVICE = Service(
    name="placement",
    roles=frozenset({Role.CONTROLLER}),
    after=("keystone",),
    packages=("placement-api",),
    files=_files,
    units=(
        Unit(
            "placement-api",
            reads=(CONFIG, unit_path("placement-api"), "/etc/stockade/uwsgi/placement-api.ini"),
            backend="placement",
        ),
    ),
    database=Database("placement", "placement", (("placement-manage", "db", "sync"),), package="placement-api"),
    account="placement",
    endpoint=Endpoint("placement", "placement", PORT),
    # It has no /healthcheck of its own.
    backends=(Backend("placement", PORT, check="/"),),
    health=_health,
)
