"""RabbitMQ: three brokers, quorum queues, clients talk to them directly and never through a VIP."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, File, Resource, Service, Unit, Where
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Role

CONFIG = "/etc/rabbitmq/rabbitmq.conf"
ENVIRONMENT = "/etc/rabbitmq/rabbitmq-env.conf"
COOKIE = "/var/lib/rabbitmq/.erlang.cookie"
PLUGINS = "/etc/rabbitmq/enabled_plugins"


def member(host: Host) -> str:
    """Erlang node name of the broker on `host`."""
    return f"rabbit@{host.name}"


def _files(context: Context, host: Host) -> Sequence[File]:
    timers = context.timers
    lines = [
        HEADER.rstrip(),
        f"listeners.tcp.1 = {host.management}:5672",
        "# The cluster forms itself: every node knows all the others, and finds them again after a loss.",
        "cluster_formation.peer_discovery_backend = classic_config",
        *(
            f"cluster_formation.classic_config.nodes.{index} = {member(each)}"
            for index, each in enumerate(context.cloud.controllers, 1)
        ),
        "# A minority stops serving, so its clients go to the majority.",
        "cluster_partition_handling = pause_minority",
        "default_queue_type = quorum",
        "queue_leader_locator = balanced",
        f"# A silent client or broker is noticed in {timers.rabbit_heartbeat_s} s; the default is 60.",
        f"heartbeat = {timers.rabbit_heartbeat_s}",
        "# After a power cut of all, wait for the others as long as they may take to boot (default 10 tries of 30 s).",
        "mnesia_table_loading_retry_limit = 30",
        "log.console = true",
        "log.console.level = warning",
        "log.file = false",
        "vm_memory_high_watermark.relative = 0.4",
        "disk_free_limit.absolute = 500MB",
    ]
    arguments = [
        # A dead node is noticed in 1 to 1.25 of this; the default is 60.
        f"-kernel net_ticktime {timers.rabbit_net_ticktime_s}",
        f"-kernel inet_dist_use_interface {{{str(host.management).replace('.', ',')}}}",
    ]
    if context.small:
        # Erlang's schedulers spin before they sleep, which on shared cores costs everyone else.
        arguments.append("+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none")
    environment = (
        f"{HEADER}NODENAME={member(host)}\nERL_EPMD_ADDRESS={host.management}\n"
        f'SERVER_ADDITIONAL_ERL_ARGS="{" ".join(arguments)}"\n'
    )
    return [
        File(CONFIG, "\n".join(line for line in lines if line) + "\n"),
        File(ENVIRONMENT, environment),
        File(PLUGINS, "[].\n"),
        # Mixed letters and digits of length 32: Debian regenerates a cookie that looks like its own ([A-Z]{20}).
        File(COOKIE, context.secrets.password("rabbit.cookie"), "rabbitmq", "rabbitmq", 0o400, secret=True),
        File(
            dropin_path("rabbitmq-server"),
            f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=2\n"
            # rabbitmq-env.conf does not reach epmd, which else listens on every address.
            f"Environment=ERL_EPMD_ADDRESS={host.management}\n",
        ),
    ]


def _resources(context: Context, _host: Host) -> Sequence[Resource]:
    accounts = [
        {"name": service.vhost, "password": context.secrets.password(f"rabbit.{service.vhost}")}
        for service in context.services
        if service.vhost
    ]
    members = [member(host) for host in context.cloud.controllers]
    return (
        Resource(
            "messaging accounts and queues",
            "rabbit",
            {"accounts": accounts, "members": members},
            Where.ONE,
            secret=True,
        ),
    )


def _health(context: Context) -> Sequence[Check]:
    return (Check("rabbitmq", "rabbitmq", {"members": len(context.cloud.controllers)}, Where.EACH),)


SERVICE = Service(
    name="rabbitmq",
    roles=frozenset({Role.CONTROLLER}),
    after=("base",),
    packages=("rabbitmq-server",),
    files=_files,
    units=(Unit("rabbitmq-server", reads=(CONFIG, ENVIRONMENT, PLUGINS, COOKIE, dropin_path("rabbitmq-server"))),),
    resources=_resources,
    health=_health,
    # All members may run while a queue's copy on one of the others is still catching up.
    may_stop=lambda _context: (Check("queues without this broker", "rabbitmq_may_stop"),),
    quorum=True,
)
