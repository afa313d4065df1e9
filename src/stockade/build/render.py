"""From services to bundles: everything a host must be, and everything it must never run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from stockade.build.context import Context
from stockade.build.model import Bundle, Bundles, Check, Resource, Service, Stage, Unit, Where
from stockade.build.services.keystone import SERVICE as KEYSTONE
from stockade.build.services.keystone import admin
from stockade.cloud.model import Host

STRAY_UNITS = (
    # Started by Debian's packages, wanted by nobody here.
    "conntrackd", "epmd", "epmd.socket", "tgt", "rtslib-fb-targetctl", "target", "radvd", "rsync", "smartmontools",
    "smartd", "rbdmap",
    "nova-spicehtml5proxy", "nova-serialproxy", "nova-xenvncproxy", "nova-consoleauth",
    # They would bring VMs back at boot, where they may run elsewhere by now (safety rule 6).
    "libvirt-guests", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd-tcp.socket",
    "libvirtd-tls.socket",
)  # fmt: skip
ACCOUNT_ROLES = ("admin", "service")


def in_order(services: Sequence[Service]) -> tuple[Service, ...]:
    """Services, each after what it comes after. Raises graphlib.CycleError."""
    by_name = {service.name: service for service in services}
    order = TopologicalSorter({service.name: service.after for service in services}).static_order()
    return tuple(by_name[name] for name in order)


def render(context: Context) -> Bundles:
    """One bundle per host, in the cloud file's order."""
    services = in_order(context.services)
    return {host.name: _bundle(context, services, host) for host in context.cloud.hosts}


def service_hosts(context: Context, service: Service) -> tuple[Host, ...]:
    """The hosts a service runs on, in the cloud file's order."""
    return tuple(host for host in context.cloud.hosts if service.roles & host.roles)


def _bundle(context: Context, services: Sequence[Service], host: Host) -> Bundle:
    stages = tuple(_stage(context, service, host) for service in services if service.roles & host.roles)
    mine = {unit.name for stage in stages for unit in stage.units}
    known = {_for_host(unit, host).name for service in services for unit in service.units}
    return Bundle(host.name, stages, tuple(sorted((known | set(STRAY_UNITS)) - mine)))


def _stage(context: Context, service: Service, host: Host) -> Stage:
    candidates = service_hosts(context, service)
    present = [each for each in candidates if each.name not in context.absent]
    first = host == (present or candidates)[0]
    before = [
        *_database(context, service),
        *_identity(context, service),
        *service.before_start(context, host),
    ]
    after = list(service.resources(context, host))
    if service is KEYSTONE:
        # Its own catalog entry needs it running, and its admin made, so it comes after the start.
        before = [*_database(context, service), *service.before_start(context, host)]
        after += _identity(context, service)
    return Stage(
        service=service.name,
        host=host.name,
        packages=service.packages,
        directories=service.directories,
        files=tuple(service.files(context, host)),
        units=tuple(_for_host(unit, host) for unit in _units_on(host, service)),
        before_start=_here(before, first=first),
        resources=_here(after, first=first),
        checks=tuple(_checks_here(service.health(context), first=first)),
    )


def _units_on(host: Host, service: Service) -> list[Unit]:
    return [unit for unit in service.units if unit.roles is None or unit.roles & host.roles]


def _for_host(unit: Unit, host: Host) -> Unit:
    if "{host}" not in unit.name:
        return unit
    return replace(unit, name=unit.name.format(host=host.name))


def _here(resources: Sequence[Resource], *, first: bool) -> tuple[Resource, ...]:
    return tuple(each for each in resources if first or each.where is Where.EACH)


def _checks_here(checks: Sequence[Check], *, first: bool) -> list[Check]:
    return [check for check in checks if first or check.where is Where.EACH]


def _database(context: Context, service: Service) -> list[Resource]:
    database = service.database
    if database is None:
        return []
    desired = {
        "name": database.name,
        "database": database.name,
        "extra": list(database.extra),
        "password": context.secrets.password(f"database.{database.name}"),
        "user": database.user,
        "sync": [list(command) for command in database.sync],
        "package": database.package,
    }
    return [Resource(f"database {database.name}", "database", desired, Where.ONE, secret=True)]


def _identity(context: Context, service: Service) -> list[Resource]:
    if not service.account and service.endpoint is None:
        return []
    account, endpoint = {}, {}
    if service.account:
        password = context.secrets.password(f"keystone.{service.account}")
        account = {"name": service.account, "password": password, "roles": list(ACCOUNT_ROLES)}
    if service.endpoint is not None:
        entry = service.endpoint
        internal = context.internal_url(entry.port, entry.path)
        urls = {
            "public": context.external_url(entry.port, entry.path),
            "internal": internal,
            "admin": internal,
        }
        endpoint = {"type": entry.type, "name": entry.name, "region": context.cloud.region, "urls": urls}
    desired = {"admin": admin(context), "account": account, "endpoint": endpoint}
    return [Resource(f"identity of {service.name}", "identity", desired, Where.ONE, secret=True)]
