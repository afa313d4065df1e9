"""HAProxy on every controller: the APIs at both VIPs, and the database writer on loopback."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build import certificates
from stockade.build.context import AGENT_PORT, DATABASE_BACKEND, DATABASE_PORT, MONITOR_PORT, PROXY_PORT, Context
from stockade.build.ini import HEADER
from stockade.build.model import Backend, Check, Directory, File, Resource, Service, Unit, Where
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Role, Writers

CONFIG = "/etc/haproxy/haproxy.cfg"
CERTIFICATE = "/etc/haproxy/external.pem"


def backends(context: Context) -> tuple[Backend, ...]:
    """Every service's back ends, in service order."""
    return tuple(backend for service in context.services for backend in service.backends)


def _files(context: Context, host: Host) -> Sequence[File]:
    text = "\n".join([_global(context), _database(context, host), *(_api(context, each) for each in backends(context))])
    return [
        File(CONFIG, text),
        File(CERTIFICATE, _certificate(context), "root", "haproxy", 0o640, secret=True),
        File(
            dropin_path("haproxy"),
            f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n",
        ),
    ]


def _certificate(context: Context) -> str:
    cloud = context.cloud
    if cloud.certificate and cloud.certificate_key:
        # A PEM file may lack its last line's end, and two joined without one load nowhere.
        return "\n".join(part.read_text().strip() for part in (cloud.certificate, cloud.certificate_key)) + "\n"
    names = [] if cloud.external_name == str(cloud.external_vip) else [cloud.external_name]
    certificate, key = certificates.leaf(
        context.secrets, cloud.name, "external", [cloud.external_vip], names, client=False
    )
    return certificate + (context.secrets.text("tls.ca.certificate") or "") + key


def _global(context: Context) -> str:
    timers = context.timers
    return f"""{HEADER}global
    user haproxy
    group haproxy
    maxconn 8192
    nbthread {1 if context.small else 4}
    log stderr format short daemon notice
    stats socket /run/haproxy/admin.sock mode 600 level admin
    stats timeout 2m
    # A worker from before a reload checks no servers any more: its database sessions would outlive their server.
    hard-stop-after 30s
    ssl-default-bind-options ssl-min-ver TLSv1.2
    # Checks of one server must not all fall on the same instant.
    spread-checks 10

defaults
    mode http
    log global
    option dontlognull
    option http-keep-alive
    # A request sent to a server that just died wastes this long once, then goes to another.
    timeout connect {timers.haproxy_connect_timeout_ms}ms
    retries 3
    option redispatch 1
    # Safe for every method: nothing of the request had been sent.
    retry-on conn-failure
    timeout http-request 10s
    timeout http-keep-alive 10s
    # A long queue hides an outage; fail fast and let the client retry.
    timeout queue 5s
    timeout client 90s
    timeout server 90s
    timeout check {timers.haproxy_check_timeout_ms}ms
    default-server check maxconn 256 inter {timers.haproxy_inter_ms}ms fastinter {timers.haproxy_fastinter_ms}ms
    default-server downinter {timers.haproxy_downinter_ms}ms rise {timers.haproxy_rise} fall {timers.haproxy_fall}

frontend monitor
    bind 127.0.0.1:{MONITOR_PORT}
    monitor-uri /alive
"""


def _database(context: Context, _host: Host) -> str:
    """One writer: the same first server everywhere, the others stand by. No session may outlive its server."""
    single = context.cloud.writers is Writers.ONE
    lines = [
        f"listen {DATABASE_BACKEND}",
        f"    bind 127.0.0.1:{DATABASE_PORT}",
        "    mode tcp",
        # Above the pools' recycle time, or idle pooled connections would be cut.
        "    timeout client 1h",
        "    timeout server 1h",
        "    option clitcpka",
        "    option srvtcpka",
        "    option httpchk",
        "    http-check send meth GET uri /database",
        "    http-check expect status 200",
        # Three servers in all, so they can be asked often: every request of every API waits for this failover.
        f"    default-server inter {context.timers.haproxy_fastinter_ms}ms",
        *([] if single else ["    balance leastconn"]),
    ]
    for index, each in enumerate(context.cloud.controllers):
        # A session to a hung server is ended at once instead of hanging until TCP gives up; and when the first
        # server returns, sessions leave the stand-by, so that two never write side by side.
        role = " on-marked-up shutdown-backup-sessions" if index == 0 else " backup"
        lines.append(
            f"    server {each.name} {each.management}:3306 port {AGENT_PORT} check"
            f" on-marked-down shutdown-sessions{role if single else ''}"
        )
    return "\n".join(lines) + "\n"


def _api(context: Context, backend: Backend) -> str:
    cloud = context.cloud
    lines = [f"frontend {backend.name}-in", f"    bind {cloud.internal_vip}:{backend.port}"]
    if backend.external:
        lines += [
            f"    bind {cloud.external_vip}:{backend.port} ssl crt {CERTIFICATE}",
            "    http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        ]
    lines += [
        "    option forwardfor",
        f"    timeout client {backend.timeout_s}s",
        f"    default_backend {backend.name}",
        "",
        f"backend {backend.name}",
        "    balance leastconn" if not backend.sticky else "    balance source",
        f"    timeout server {backend.timeout_s}s",
        f"    timeout tunnel {max(backend.timeout_s, 3600)}s",
        "    option httpchk",
        f"    http-check send meth GET uri {backend.check}",
        f"    http-check expect status {backend.expect}",
        # Real traffic finds a dead server before the next probe does.
        "    default-server observe layer4 error-limit 3 on-error fastinter",
        # An API reaches the database through its own host's HAProxy; where that is dead, the API still answers its
        # health check and fails every request. The agent there says so; without an agent the check above decides.
        f"    default-server agent-check agent-port {PROXY_PORT} agent-inter {context.timers.haproxy_inter_ms}ms",
    ]
    lines += [f"    server {each.name} {each.management}:{backend.port} check" for each in cloud.controllers]
    return "\n".join(lines) + "\n"


def _resources(context: Context, _host: Host) -> Sequence[Resource]:
    controllers = [host.name for host in context.cloud.controllers]
    wanted = {backend.name: controllers for backend in backends(context)} | {DATABASE_BACKEND: controllers}
    return (Resource("servers in rotation", "haproxy", {"backends": wanted}, Where.EACH),)


def _health(_context: Context) -> Sequence[Check]:
    return (
        Check("haproxy", "http_answers", {"url": f"http://127.0.0.1:{MONITOR_PORT}/alive"}),
        Check("database writer", "database_greets", {"address": "127.0.0.1", "port": DATABASE_PORT}),
    )


SERVICE = Service(
    name="haproxy",
    roles=frozenset({Role.CONTROLLER}),
    after=("base", "galera"),
    packages=("haproxy",),
    files=_files,
    directories=(Directory("/etc/haproxy"),),
    units=(Unit("haproxy", reads=(dropin_path("haproxy"),), reloads=(CONFIG, CERTIFICATE)),),
    resources=_resources,
    health=_health,
)
