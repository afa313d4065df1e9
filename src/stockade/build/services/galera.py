"""MariaDB Galera: three members, one of which takes the writes; the agent starts members and forms the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import DATABASE_BACKEND, Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, File, Service, Start, Unit
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Role

CONFIG = "/etc/mysql/mariadb.conf.d/99-stockade.cnf"
MAX_CONNECTIONS = 2048
"""Sum over controllers of workers x (pool + overflow), with room; each costs memory only when used."""


def _files(context: Context, host: Host) -> Sequence[File]:
    cloud, timers = context.cloud, context.timers
    provider = {
        "gmcast.listen_addr": f"tcp://{host.management}:4567",
        "ist.recv_addr": f"{host.management}:4568",
        "gcache.size": "128M" if context.small else "1G",
        "gcache.recover": "yes",
        "evs.keepalive_period": f"PT{timers.galera_keepalive_s}S",
        "evs.inactive_check_period": f"PT{timers.galera_inactive_check_s}S",
        "evs.suspect_timeout": f"PT{timers.galera_suspect_s}S",
        "evs.inactive_timeout": f"PT{timers.galera_inactive_s}S",
        "evs.install_timeout": f"PT{timers.galera_install_s}S",
        "gmcast.peer_timeout": f"PT{timers.galera_peer_s}S",
    }
    members = ",".join(str(each.management) for each in cloud.controllers)
    lines = [
        HEADER.rstrip(),
        "[mysqld]",
        f"bind_address = {host.management}",
        "skip_name_resolve = ON",
        f"max_connections = {MAX_CONNECTIONS}",
        "# Above the clients' connection_recycle_time of 280 s.",
        "wait_timeout = 3600",
        "character_set_server = utf8mb4",
        "# Galera's requirements.",
        "binlog_format = ROW",
        "default_storage_engine = InnoDB",
        "innodb_autoinc_lock_mode = 2",
        "# No acknowledged row is lost even if all three lose power at once; 2 would lose up to a second.",
        "innodb_flush_log_at_trx_commit = 1",
        "# MariaDB's default since 11.6 raises error 1020, which OpenStack does not retry everywhere (LP 2116186).",
        "innodb_snapshot_isolation = OFF",
        f"innodb_buffer_pool_size = {'96M' if context.small else '1G'}",
        f"performance_schema = {'OFF' if context.small else 'ON'}",
        "[galera]",
        "wsrep_on = ON",
        "wsrep_provider = /usr/lib/galera/libgalera_smm.so",
        f"wsrep_cluster_name = {cloud.name}",
        f"wsrep_cluster_address = gcomm://{members}",
        f"wsrep_node_name = {host.name}",
        f"wsrep_node_address = {host.management}",
        "# mariabackup leaves the donor writable.",
        "wsrep_sst_method = mariabackup",
        "# The operating system's user mysql, who owns the data, is let in over the socket: no password to keep.",
        "wsrep_sst_auth = mysql:",
        f"wsrep_slave_threads = {2 if context.small else 8}",
        "wsrep_retry_autocommit = 3",
        f'wsrep_provider_options = "{";".join(f"{name}={value}" for name, value in provider.items())}"',
    ]
    dropin = f"""{HEADER}[Unit]
StartLimitIntervalSec=0
[Service]
# The agent starts a member once it knows a primary, and tries again when a join fails (exit 1, which the
# packaged on-abnormal would leave down for ever).
Restart=on-abnormal
RestartSec=1
# The packaged script repairs and upgrades tables after each start, on every member at once.
ExecStartPost=
ExecStartPost=/bin/rm -f /run/mysqld/wsrep-start-position /run/mysqld/wsrep-new-cluster
"""
    return [
        File(CONFIG, "\n".join(lines) + "\n", "root", "mysql", 0o640, secret=True),
        File(dropin_path("mariadb"), dropin),
    ]


def _health(context: Context) -> Sequence[Check]:
    return (Check("galera", "galera", {"members": len(context.cloud.controllers)}, timeout_s=960),)


SERVICE = Service(
    name="galera",
    roles=frozenset({Role.CONTROLLER}),
    after=("base",),
    packages=("mariadb-server", "mariadb-backup", "galera-4", "socat", "python3-pymysql"),
    files=_files,
    units=(Unit("mariadb", reads=(CONFIG, dropin_path("mariadb")), start=Start.AGENT, backend=DATABASE_BACKEND),),
    health=_health,
    quorum=True,
)
