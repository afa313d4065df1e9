"""memcached: token and catalog caches. Every client lists all servers in the same order; nothing in it is precious."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import MEMCACHED_PORT, Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, File, Service, Unit, Where
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Role

CONFIG = "/etc/memcached.conf"
CACHE_MIB = 128


def _files(_context: Context, host: Host) -> Sequence[File]:
    text = f"{HEADER}-m {CACHE_MIB}\n-p {MEMCACHED_PORT}\n-u memcache\n-l {host.management}\n-c 4096\n-U 0\n"
    # Packaged unit: no restart at all.
    restart = f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n"
    return [File(CONFIG, text), File(dropin_path("memcached"), restart)]


def _health(context: Context) -> Sequence[Check]:
    return tuple(
        Check(
            f"memcached on {host.name}",
            "memcached",
            {"address": str(host.management), "port": MEMCACHED_PORT},
            Where.ONE,
        )
        for host in context.cloud.controllers
    )


SERVICE = Service(
    name="memcached",
    roles=frozenset({Role.CONTROLLER}),
    after=("base",),
    packages=("memcached",),
    files=_files,
    units=(Unit("memcached", reads=(CONFIG, dropin_path("memcached"))),),
    health=_health,
)
