"""What every host has: names of all hosts, network settings, the cloud's CA, client credentials of etcd, the agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from stockade.build import certificates
from stockade.build.context import AGENT_PORT, CA_FILE, ETC, ETCD_CLIENT_PORT, MONITOR_PORT, PROXY_PORT, Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, Directory, File, Service, Unit
from stockade.build.uwsgi import UNIT_DIRECTORY, unit_path
from stockade.cloud.model import Host, Role

OSLO_DB = "python3-oslo.db>=17.2.1-2+deb13u1"
"""Earlier ones do not retry MariaDB's error 1020."""
OSLO_MESSAGING = "python3-oslo.messaging>=16.1.0-3+deb13u1"
"""Earlier ones have CVE-2026-44393."""
LIBRARY = "/usr/lib/stockade"
AGENT_CONFIG = f"{ETC}/agent.json"
SYSCTL = f"{ETC}/sysctl.conf"


def _files(context: Context, host: Host) -> Sequence[File]:
    cloud = context.cloud
    certificates.authority(context.secrets, cloud.name)
    hosts = [f"{each.management} {each.name}" for each in cloud.hosts]
    files = [
        File("/etc/hosts", "\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost", *hosts]) + "\n"),
        File(CA_FILE, context.secrets.text("tls.ca.certificate") or ""),
        File(SYSCTL, _sysctls(context)),
        File(unit_path("stockade-sysctl"), _SYSCTL_UNIT),
        File(unit_path("stockade-agent"), _agent_unit(host)),
        File(AGENT_CONFIG, _agent_config(context, host), mode=0o600, secret=True),
        *_agent_code(),
    ]
    if Role.CONTROLLER in host.roles:
        certificate, key = certificates.leaf(context.secrets, cloud.name, f"etcd-client.{host.name}", [host.management])
        files += [
            File(SOCKET_UNIT, _socket_unit(host)),
            File(f"{ETC}/etcd-client.pem", certificate),
            File(f"{ETC}/etcd-client.key", key, mode=0o600, secret=True),
        ]
    return files


def _sysctls(context: Context) -> str:
    timers = context.timers
    lines = [
        HEADER.rstrip(),
        "# HAProxy runs on every controller all the time, also where the VIP is not.",
        "net.ipv4.ip_nonlocal_bind = 1",
        "# Neutron's routers forward; reverse-path filtering would drop their asymmetric paths.",
        "net.ipv4.ip_forward = 1",
        "net.ipv4.conf.all.rp_filter = 0",
        "net.ipv4.conf.default.rp_filter = 0",
        "# A black-holed TCP connection is given up after about 13 s (6 tries), not 15 minutes (15 tries).",
        f"net.ipv4.tcp_retries2 = {timers.tcp_retries2}",
        f"net.ipv4.tcp_keepalive_time = {timers.tcp_keepalive_time_s}",
        f"net.ipv4.tcp_keepalive_intvl = {timers.tcp_keepalive_intvl_s}",
        f"net.ipv4.tcp_keepalive_probes = {timers.tcp_keepalive_probes}",
        "# Longer accept queues, for the burst after a failover.",
        "net.core.somaxconn = 4096",
        "# Keep OpenStack's ports out of the range of outgoing connections.",
        f"net.ipv4.ip_local_reserved_ports = {RESERVED_PORTS}",
    ]
    return "\n".join(lines) + "\n"


RESERVED_PORTS = "3306-3307,4444,4567-4568,5000,5672,6080,6640,8774-8778,9200-9202,9292,9696,11211,25672"


def _agent_config(context: Context, host: Host) -> str:
    cloud = context.cloud
    controllers = {each.name: str(each.management) for each in cloud.controllers}
    return (
        json.dumps(
            {
                "host": host.name,
                "address": str(host.management),
                "port": AGENT_PORT,
                "proxy_port": PROXY_PORT,
                "monitor_port": MONITOR_PORT,
                "controller": Role.CONTROLLER in host.roles,
                "compute": Role.COMPUTE in host.roles,
                "controllers": controllers,
                "etcd": [f"https://{address}:{ETCD_CLIENT_PORT}" for address in controllers.values()],
                "fernet_rotation_s": FERNET_ROTATION_S,
                "fernet_max_active": FERNET_MAX_ACTIVE,
            },
            indent=1,
        )
        + "\n"
    )


FERNET_ROTATION_S = 24 * 3600
FERNET_MAX_ACTIVE = 5
"""ceil((token life 1 h + allow_expired_window 48 h) / rotation 24 h) + 2: no valid token outlives its key."""


def _agent_code() -> list[File]:
    modules = sorted(resources.files("stockade.agent").iterdir(), key=lambda each: each.name)
    return [
        File(f"{LIBRARY}/stockade/__init__.py", ""),
        *(
            File(f"{LIBRARY}/stockade/agent/{entry.name}", entry.read_text())
            for entry in modules
            if entry.name.endswith(".py")
        ),
    ]


_SYSCTL_UNIT = f"""{HEADER}[Unit]
Description=Network settings of the cloud
DefaultDependencies=no
After=systemd-sysctl.service
Before=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/sysctl --quiet --load={SYSCTL}

[Install]
WantedBy=multi-user.target
"""

SOCKET_UNIT = f"{UNIT_DIRECTORY}/stockade-agent.socket"


def _socket_unit(host: Host) -> str:
    return f"""{HEADER}[Unit]
Description=Questions to Stockade's agent, which wait while it restarts

[Socket]
ListenStream={host.management}:{AGENT_PORT}
ListenStream={host.management}:{PROXY_PORT}
FreeBind=yes

[Install]
WantedBy=sockets.target
"""


def _agent_unit(host: Host) -> str:
    # Restarted with its sockets, which systemd does not open under a running service.
    sockets = "Requires=stockade-agent.socket\n" if Role.CONTROLLER in host.roles else ""
    return f"""{HEADER}[Unit]
Description=Stockade's agent
After=network-online.target stockade-sysctl.service
{sockets}StartLimitIntervalSec=0

[Service]
Environment=PYTHONPATH={LIBRARY} PYTHONDONTWRITEBYTECODE=1
ExecStart=/usr/bin/python3 -m stockade.agent {AGENT_CONFIG}
Restart=always
RestartSec=1
# Ending the agent must end neither the database nor a VM that it started.
KillMode=process

[Install]
WantedBy=multi-user.target
"""


def _health(_context: Context) -> Sequence[Check]:
    return (Check("agent", "unit_active", {"units": ["stockade-agent"]}),)


SERVICE = Service(
    name="base",
    roles=frozenset(Role),
    packages=("python3", "iproute2", "procps", "ca-certificates", "python3-pymysql", "python3-openstacksdk"),
    files=_files,
    directories=(Directory(ETC), Directory("/var/lib/stockade", mode=0o711)),
    units=(
        Unit("stockade-sysctl", reads=(SYSCTL, unit_path("stockade-sysctl")), oneshot=True),
        Unit("stockade-agent.socket", reads=(SOCKET_UNIT,), roles=frozenset({Role.CONTROLLER})),
        Unit(
            "stockade-agent",
            reads=(AGENT_CONFIG, unit_path("stockade-agent"), *(file.path for file in _agent_code())),
        ),
    ),
    health=_health,
)
