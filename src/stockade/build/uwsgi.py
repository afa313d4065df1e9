"""How OpenStack daemons run under systemd: complete unit files of our own in place of Debian's.

Debian's units say `Wants=` each other (starting nova-compute on a compute host also starts keystone, mariadb and
rabbitmq there), stop after 15 s, and bind every API to all addresses, where HAProxy could not bind the VIP.
A unit in /etc/systemd/system replaces the packaged one whole, so nothing of that is left.
"""

from __future__ import annotations

from stockade.build.ini import HEADER
from stockade.build.model import File

UNIT_DIRECTORY = "/etc/systemd/system"
GRACE_S = 60
"""How long a daemon may finish what it is doing when stopped: oslo.service's graceful_shutdown_timeout."""
STEADY_S = 10
"""A daemon that cannot live with its settings has ended by then, and systemd would have begun again."""


def unit_path(name: str) -> str:
    """Where the unit file of `name` (without .service) lives."""
    return f"{UNIT_DIRECTORY}/{name}.service"


def dropin_path(name: str) -> str:
    """Where our drop-in for a packaged unit lives."""
    return f"{UNIT_DIRECTORY}/{name}.service.d/50-stockade.conf"


def daemon_unit(
    name: str,
    *,
    user: str,
    command: str,
    notify: bool = False,
    kill_mode: str = "mixed",
    environment: tuple[str, ...] = (),
    start_pre: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    install: bool = True,
    grace_s: int = GRACE_S,
    process_name: str = "",
) -> File:
    """The unit file of an OpenStack daemon that logs to the journal and is restarted whatever it dies of."""
    lines = [
        HEADER.rstrip(),
        "[Unit]",
        f"Description={name}, under stockade",
        f"After=network-online.target local-fs.target {' '.join(after)}".rstrip(),
        "Wants=network-online.target",
        # A dependency may be away for longer than systemd's default five tries in ten seconds.
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"Type={'notify' if notify else 'simple'}",
        *(["NotifyAccess=all"] if notify else []),
        f"User={user}",
        f"Group={user}",
        f"WorkingDirectory=/var/lib/{user}",
        f"RuntimeDirectory={name}",
        f"LogsDirectory={user}",
        # oslo.messaging's queue manager builds reply-queue names from it: two daemons must not share one.
        f"Environment=OS_OSLO_MESSAGING_RABBIT__PROCESSNAME={process_name or name}",
        *(f"Environment={item}" for item in environment),
        *(f"ExecStartPre={item}" for item in start_pre),
        f"ExecStart={command}",
        "Restart=always",
        # At once after a crash, ever later when it goes on crashing: a loop of starts starves everyone else.
        "RestartSec=1",
        "RestartSteps=6",
        "RestartMaxDelaySec=15",
        f"KillMode={kill_mode}",
        f"TimeoutStopSec={grace_s + 15}",
        "TimeoutStartSec=180",
        "LimitNOFILE=65535",
        "TasksMax=infinity",
    ]
    if install:
        lines += ["", "[Install]", "WantedBy=multi-user.target"]
    return File(unit_path(name), "\n".join(lines) + "\n")


def uwsgi_api(
    name: str,
    *,
    user: str,
    bind: str,
    script: str,
    processes: int,
    threads: int = 1,
    pyargv: str = "",
    environment: tuple[str, ...] = (),
    start_pre: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
) -> tuple[File, File]:
    """(unit, uWSGI configuration) of a WSGI API bound to `bind` (address:port)."""
    ini_path = f"/etc/stockade/uwsgi/{name}.ini"
    lines = [
        HEADER.rstrip(),
        "[uwsgi]",
        f"name = {name}",
        "plugins = python3",
        f"http-socket = {bind}",
        f"wsgi-file = {script}",
        *([f"pyargv = {pyargv}"] if pyargv else []),
        "master = true",
        "lazy-apps = true",
        "# An API that cannot load must fail, not answer 500 for ever.",
        "need-app = true",
        f"processes = {processes}",
        f"threads = {threads}",
        "enable-threads = true",
        "thunder-lock = true",
        "# A failover brings a burst of connections.",
        "listen = 1024",
        "buffer-size = 65535",
        "# Finish the requests in hand when asked to stop; uWSGI's own answer to SIGTERM is a brutal reload.",
        "hook-master-start = unix_signal:15 gracefully_kill_them_all",
        f"worker-reload-mercy = {GRACE_S}",
        "no-orphans = true",
        "close-on-exec = true",
        "rem-header = Content-Length",
        "# HAProxy keeps connections to users alive; to uWSGI each request has its own, so none is reset under it.",
        "add-header = Connection: close",
        "log-master = false",
        "disable-logging = true",
        *extra,
    ]
    ini = File(ini_path, "\n".join(lines) + "\n")
    unit = daemon_unit(
        name,
        user=user,
        command=f"/usr/bin/uwsgi --ini {ini_path}",
        environment=environment,
        start_pre=start_pre,
    )
    return unit, ini
