"""The values a build is made of: what a service needs, and what one host must look like.

A `Service` says what it needs (packages, files, units, database, catalog entry, back end, health).
`stockade.build.render` turns services into one `Bundle` per host; `stockade.build.plan` compares bundles
with facts. Nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stockade.cloud.model import Host, Role

if TYPE_CHECKING:
    from stockade.build.context import Context

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class File:
    """One managed file. `secret` keeps its content out of diffs."""

    path: str
    content: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """One managed directory."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


class Start(StrEnum):
    """Who starts a unit."""

    BOOT = "boot"
    """systemd, at every boot."""
    AGENT = "agent"
    """The agent, when it is safe: a database member once it knows a primary or is elected to form one,
    libvirtd and nova-compute once this boot of the host has been granted to run VMs (safety rule 6)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One systemd unit a host runs.

    `reads` are the files that need a restart when they change; `reloads` those a reload is enough for.
    `backend` is the HAProxy back end that is drained before this unit restarts on a running cloud.
    """

    name: str
    reads: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()
    start: Start = Start.BOOT
    backend: str = ""
    roles: frozenset[Role] | None = None
    """Only on hosts with one of these, if not on all of the service's."""
    oneshot: bool = False
    """Runs at boot and exits; not restarted when it is found inactive."""


@dataclass(frozen=True, slots=True)
class Resource:
    """State that is not a file or a unit: a database, a user, a pool, a cluster member.

    `program` is a module of `stockade.build.hostside`; called with `desired` it lists the differences (check)
    or removes them (apply), re-reading first.
    """

    name: str
    program: str
    desired: Json
    where: Where
    secret: bool = False


class Where(StrEnum):
    """Which of a service's hosts a resource or check runs on."""

    EACH = "each"
    ONE = "one"
    """One host is enough, because the state is the cluster's: the first controller."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question whose answer is yes when a mechanism works; a health gate in `up`, a row in `status`.

    `kind` is a function of `stockade.build.hostside.checks`. `timeout_s` bounds the wait as a gate.
    """

    name: str
    kind: str
    args: Json = field(default_factory=dict)
    where: Where = Where.EACH
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Database:
    """A service's database: made, granted and migrated by the build.

    `sync` are the migration commands, run as `user` on one controller; `name` is database and account name.
    """

    name: str
    user: str = ""
    sync: tuple[tuple[str, ...], ...] = ()
    extra: tuple[str, ...] = ()
    """Further databases of the same account (nova's API and cell0 databases)."""
    package: str = ""
    """The package whose version says when the migration must run again."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An entry of the service catalog."""

    type: str
    name: str
    port: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """An HAProxy back end and the front ends that lead to it."""

    name: str
    port: int
    check: str = "/healthcheck"
    expect: str = "200"
    external: bool = True
    mode: str = "http"
    timeout_s: int = 90
    """Longer than the RPC timeout of 60 s, or slow but good calls end as 504."""
    sticky: bool = False


Render = Callable[["Context", Host], Sequence[File]]
ResourcesOf = Callable[["Context", Host], Sequence[Resource]]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything the build knows about one service."""

    name: str
    roles: frozenset[Role]
    after: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Debian packages; `NAME>=VERSION` where an earlier one is known to be faulty."""
    files: Render = lambda _context, _host: ()
    directories: tuple[Directory, ...] = ()
    units: tuple[Unit, ...] = ()
    database: Database | None = None
    account: str = ""
    """Name of the Keystone service user."""
    vhost: str = ""
    """RabbitMQ vhost and user."""
    endpoint: Endpoint | None = None
    backends: tuple[Backend, ...] = ()
    before_start: ResourcesOf = lambda _context, _host: ()
    """What must be so before the units start."""
    resources: ResourcesOf = lambda _context, _host: ()
    """What must be so once the units run."""
    health: Callable[[Context], Sequence[Check]] = lambda _context: ()
    may_stop: Callable[[Context], Sequence[Check]] = lambda _context: ()
    """What must be so on a host before a unit that serves there is restarted."""
    quorum: bool = False
    """Its members go by majority: never restart one while another is missing, whatever the reason."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One service's part of one host."""

    service: str
    host: str
    packages: tuple[str, ...]
    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    units: tuple[Unit, ...]
    before_start: tuple[Resource, ...]
    resources: tuple[Resource, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """All a host must be: its stages in dependency order, and the units it must never run."""

    host: str
    stages: tuple[Stage, ...]
    masked: tuple[str, ...]

    def stage(self, service: str) -> Stage | None:
        """The stage of `service`, or None if this host has no part in it."""
        return next((stage for stage in self.stages if stage.service == service), None)


Bundles = Mapping[str, Bundle]


@dataclass(frozen=True, slots=True)
class Answer:
    """One health check's answer on one host."""

    host: str
    service: str
    name: str
    ok: bool
    text: str
