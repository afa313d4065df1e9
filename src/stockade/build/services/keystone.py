"""Keystone: identity, on every controller. Tokens are Fernet, so any controller can check any token."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import reasoned, section
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
from stockade.build.services.base import FERNET_MAX_ACTIVE, LIBRARY, OSLO_DB, OSLO_MESSAGING
from stockade.build.uwsgi import unit_path, uwsgi_api
from stockade.cloud.model import Host, Role

CONFIG = "/etc/keystone/keystone.conf"
PORT = 5000


def _files(context: Context, host: Host) -> Sequence[File]:
    settings = [
        *section("DEFAULT", public_endpoint=context.external_url(PORT)),
        *context.messaging("keystone", host, threads=True),
        *context.lock_path("keystone"),
        *context.database("keystone"),
        *context.cache(),
        *section("token", provider="fernet", expiration=3600),
        reasoned("fernet_tokens", "max_active_keys", FERNET_MAX_ACTIVE, "A key outlives every token made with it."),
        *section("fernet_tokens", key_repository="/etc/keystone/fernet-keys"),
        *section("credential", key_repository="/etc/keystone/credential-keys"),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
        # Nobody consumes them until Ceilometer does; unconsumed, they would pile up in a queue.
        *section("oslo_messaging_notifications", driver="noop"),
    ]
    unit, ini = uwsgi_api(
        "keystone",
        user="keystone",
        bind=f"{host.management}:{PORT}",
        script="/usr/bin/keystone-wsgi-public",
        processes=context.workers(host),
        threads=8,
        # The current keys first: a controller that was away must not issue tokens the others cannot read.
        start_pre=(f"+/usr/bin/env PYTHONPATH={LIBRARY} /usr/bin/python3 -m stockade.agent.keys --once",),
    )
    return [
        File(CONFIG, context.ini("keystone", settings), "root", "keystone", 0o640, secret=True),
        unit,
        ini,
    ]


def _bootstrap(context: Context, _host: Host) -> Sequence[Resource]:
    desired = {
        "password": context.secrets.password("keystone.admin"),
        "region": context.cloud.region,
        "internal_url": context.internal_url(PORT, "/v3"),
        "public_url": context.external_url(PORT, "/v3"),
    }
    return (Resource("first admin", "bootstrap", desired, Where.ONE, secret=True),)


def admin(context: Context) -> dict[str, str]:
    """Credentials of the cloud's admin, for the host side's programs (sent on standard input)."""
    return {
        "auth_url": context.internal_url(PORT, "/v3"),
        "username": "admin",
        "password": context.secrets.password("keystone.admin"),
        "project_name": "admin",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region": context.cloud.region,
    }


def _health(context: Context) -> Sequence[Check]:
    return (
        Check(
            "keystone behind the VIP",
            "http_answers",
            {"url": context.internal_url(PORT, "/healthcheck")},
            Where.ONE,
        ),
        Check(
            "keystone for users",
            "http_answers",
            {"url": f"https://{context.cloud.external_vip}:{PORT}/healthcheck"},
            Where.ONE,
        ),
        Check("keystone", "unit_active", {"units": ["keystone"]}),
        Check("token keys", "fernet_current"),
    )


SERVICE = Service(
    name="keystone",
    roles=frozenset({Role.CONTROLLER}),
    after=("galera", "haproxy", "keepalived", "memcached", "etcd", "rabbitmq"),
    packages=("keystone", "python3-openstackclient", OSLO_DB, OSLO_MESSAGING),
    files=_files,
    directories=(
        Directory("/etc/keystone/fernet-keys", "keystone", "keystone", 0o700),
        Directory("/etc/keystone/credential-keys", "keystone", "keystone", 0o700),
        Directory("/var/lib/keystone/lock", "keystone", "keystone"),
    ),
    units=(
        Unit(
            "keystone",
            reads=(CONFIG, unit_path("keystone"), "/etc/stockade/uwsgi/keystone.ini"),
            backend="keystone",
        ),
    ),
    database=Database("keystone", "keystone", (("keystone-manage", "db_sync"),), package="keystone"),
    vhost="keystone",
    endpoint=Endpoint("identity", "keystone", PORT, "/v3"),
    backends=(Backend("keystone", PORT),),
    before_start=_bootstrap,
    health=_health,
)
