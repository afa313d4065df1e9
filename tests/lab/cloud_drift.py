"""Deviations from what the build wants, made from the services' own values.

Each knows how to be brought about on the machines, which change of the plan must name it, and which units that read
what it touched may be named besides.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cloud_user
from cloud_handle import Change, Cloud
from cloud_units import readers

from stockade.build.engine import Prepared
from stockade.build.model import File, Start, Unit

# The build's own questions are asked with these: without them it can only say that it cannot tell.
TOOLS = re.compile(
    r"/etc/hosts$|/etc/stockade/(ca\.pem|etcd-client)|/etc/ceph/(ceph\.conf|ceph\.client\.admin)|\.erlang\.cookie$"
)
# A stop of these takes away what other questions are asked through, on the host that asks them for all.
ASKED_THROUGH = frozenset({"openvswitch-switch", "stockade-agent"})
SAFE_STRAYS = (
    "conntrackd",
    "radvd",
    "smartmontools",
    "nova-serialproxy",
    "nova-spicehtml5proxy",
    "rtslib-fb-targetctl",
)
_OPTION = re.compile(r"^([A-Za-z_][\w.]*) ?= ?(\w[\w./:-]*)$")


@dataclass(frozen=True)
class Deviation:
    """One thing that is not as it should be."""

    kind: str
    host: str
    subject: str
    needle: str
    """What the plan's sentence must contain."""
    act: Callable[[Cloud], object]
    follows: frozenset[tuple[str, str]] = frozenset()
    """Host and unit of what must be restarted or reloaded because of it."""
    blinds: frozenset[tuple[str, str]] = frozenset()
    """Host and resource of what cannot be asked while it is so."""

    def __str__(self) -> str:
        return f"{self.kind} on {self.host}: {self.subject} ({self.needle})"

    def named_by(self, change: Change) -> bool:
        """True if this is what the change is about."""
        return (change["host"], change["subject"]) == (self.host, self.subject) and self.needle in change["sentence"]

    def explains(self, change: Change) -> bool:
        """True if the change is this deviation or follows from it."""
        place = (change["host"], change["subject"])
        if place == (self.host, self.subject):
            return True
        if change["kind"] == "unit":
            return place in self.follows
        return place in self.blinds and "cannot be read yet" in change["sentence"]


Maker = Callable[[random.Random], Deviation]


class Makers:
    """Everything that can be made to deviate in one cloud, by kind."""

    def __init__(self, cloud: Cloud, prepared: Prepared) -> None:
        self.cloud, self.prepared = cloud, prepared
        self.first = cloud.controllers[0]
        self.accounts = [service for service in prepared.context.services if service.account]
        self.vhosts = [service.vhost for service in prepared.context.services if service.vhost]
        # Keystone's own loss hides from the plan how the other accounts are.
        self.databases = [
            service.database.name
            for service in prepared.context.services
            if service.database and service.database.name != "keystone"
        ]
        self.endpoints = [
            service.endpoint for service in prepared.context.services if service.endpoint and service.account
        ]

    def kinds(self) -> dict[str, Maker]:
        """A maker per kind of deviation."""
        found = {
            name.removeprefix("make_"): getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")
        }
        assert len(found) >= 30, sorted(found)
        return found

    # Files and directories.

    def _file(self, rng: random.Random, wanted: Callable[[File], bool] = lambda _file: True) -> tuple[str, File]:
        host = rng.choice(self.cloud.hosts)
        files = [file for stage in self.prepared.bundles[host].stages for file in stage.files]
        return host, rng.choice([file for file in files if not TOOLS.search(file.path) and wanted(file)])

    def _of_file(self, kind: str, host: str, path: str, needle: str, script: str) -> Deviation:
        follows = frozenset((host, unit) for unit in readers(self.prepared.bundles[host], [path]))
        return Deviation(kind, host, path, needle, lambda cloud: cloud.out(host, script), follows)

    def make_edited_option(self, rng: random.Random) -> Deviation:
        """An option has another value."""
        host, file = self._file(rng, lambda file: any(_OPTION.match(line) for line in file.content.splitlines()))
        line = rng.choice([line for line in file.content.splitlines() if _OPTION.match(line)])
        pattern = re.sub(r"([/.*\[\]^$\\])", r"\\\1", line)
        return self._of_file(
            "edited option", host, file.path, "has other content",
            f"sed -i 's/^{pattern}$/&0/' {file.path} && grep -q '^{pattern}0$' {file.path}",
        )  # fmt: skip

    def make_added_line(self, rng: random.Random) -> Deviation:
        """Someone has added a line."""
        host, file = self._file(rng)
        return self._of_file(
            "added line", host, file.path, "has other content", f"echo '# by hand' >>{shlex.quote(file.path)}"
        )

    def make_deleted_file(self, rng: random.Random) -> Deviation:
        """A file is gone."""
        host, file = self._file(rng)
        return self._of_file("deleted file", host, file.path, "is missing", f"rm {shlex.quote(file.path)}")

    def make_wrong_mode(self, rng: random.Random) -> Deviation:
        """A file has other permissions."""
        host, file = self._file(rng)
        mode = rng.choice([each for each in (0o600, 0o640, 0o644, 0o666) if each != file.mode])
        return self._of_file(
            "wrong mode", host, file.path, f"has mode {mode:04o}", f"chmod {mode:o} {shlex.quote(file.path)}"
        )

    def make_wrong_owner(self, rng: random.Random) -> Deviation:
        """A file belongs to someone else."""
        host, file = self._file(rng)
        return self._of_file(
            "wrong owner", host, file.path, "belongs to nobody", f"chown nobody {shlex.quote(file.path)}"
        )

    def make_wrong_group(self, rng: random.Random) -> Deviation:
        """A file belongs to another group."""
        host, file = self._file(rng)
        return self._of_file(
            "wrong group", host, file.path, f"belongs to {file.owner}:games", f"chgrp games {shlex.quote(file.path)}"
        )

    def make_file_became_link(self, rng: random.Random) -> Deviation:
        """A file was replaced by a link to a copy of it."""
        host, file = self._file(rng, lambda file: not file.secret and "/systemd/" not in file.path)
        path = shlex.quote(file.path)
        return self._of_file(
            "file became a link", host, file.path, "is not a file",
            f"cp -p {path} /root/copy && rm {path} && ln -s /root/copy {path}",
        )  # fmt: skip

    def make_directory(self, rng: random.Random) -> Deviation:
        """A directory is open to more, or fewer, than it should be."""
        host = rng.choice(self.cloud.hosts)
        choices = [
            each for stage in self.prepared.bundles[host].stages for each in stage.directories
            if each.path not in ("/etc/stockade", "/var/lib/stockade", "/etc/haproxy")
        ]  # fmt: skip
        directory = rng.choice(choices)
        mode = 0o711 if directory.mode != 0o711 else 0o755
        script = f"chmod {mode:o} {directory.path}"
        return Deviation(
            "directory", host, directory.path, f"has mode {mode:04o}", lambda cloud: cloud.out(host, script)
        )

    # Units.

    def _unit(self, rng: random.Random) -> tuple[str, Unit]:
        host = rng.choice(self.cloud.hosts)
        units = [
            unit
            for stage in self.prepared.bundles[host].stages
            for unit in stage.units
            if unit.start is Start.BOOT and not unit.oneshot and unit.name not in ASKED_THROUGH
            and not unit.name.endswith(".target")
            and not (host == self.first and unit.name == "rabbitmq-server")
        ]  # fmt: skip
        return host, rng.choice(units)

    def make_stopped_unit(self, rng: random.Random) -> Deviation:
        """A unit was stopped."""
        host, unit = self._unit(rng)
        return self._stop("stopped unit", host, unit.name, f"systemctl stop {unit.name}")

    def _stop(self, kind: str, host: str, unit: str, script: str) -> Deviation:
        blinds = {(host, "servers in rotation")} if unit == "haproxy" else set()
        return Deviation(
            kind, host, unit, "does not run", lambda cloud: cloud.out(host, script), blinds=frozenset(blinds)
        )

    def make_disabled_unit(self, rng: random.Random) -> Deviation:
        """A unit runs, but would not after a boot."""
        host, unit = self._unit(rng)
        script = f"SYSTEMCTL_SKIP_SYSV=1 systemctl disable --quiet {unit.name}"
        return Deviation(
            "disabled unit", host, unit.name, "does not start at boot", lambda cloud: cloud.out(host, script)
        )

    def make_stopped_and_disabled_unit(self, rng: random.Random) -> Deviation:
        """A unit was put away altogether."""
        host, unit = self._unit(rng)
        script = f"SYSTEMCTL_SKIP_SYSV=1 systemctl disable --now --quiet {unit.name}"
        return self._stop("unit put away", host, unit.name, script)

    def make_compute_starts_at_boot(self, rng: random.Random) -> Deviation:
        """libvirtd would start by itself, without a grant."""
        host = rng.choice(self.cloud.computes)
        return Deviation(
            "enabled without a grant", host, "libvirtd", "starts at boot, without a grant",
            lambda cloud: cloud.out(host, "SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet libvirtd.service"),
        )  # fmt: skip

    def make_unmasked_unit(self, rng: random.Random) -> Deviation:
        """A unit that must never run was let loose."""
        host = rng.choice(self.cloud.controllers)
        masked = self.prepared.facts[host]["masked"]
        name = rng.choice([each for each in SAFE_STRAYS if masked.get(each)])
        script = (
            f"rm /etc/systemd/system/{name}.service && systemctl daemon-reload && systemctl start --no-block {name}"
        )
        return Deviation("unmasked unit", host, name, "must never run here", lambda cloud: cloud.sh(host, script))

    # Identity.

    def _identity(
        self,
        kind: str,
        subject: str,
        needle: str,
        act: Callable[[Any], object],
        follows: frozenset[tuple[str, str]] = frozenset(),
    ) -> Deviation:
        def work(cloud: Cloud) -> None:
            cloud.user(lambda: act(cloud_user.connect(cloud.model).identity))

        return Deviation(kind, self.first, f"identity of {subject}", needle, work, follows)

    def _account(self, rng: random.Random) -> tuple[str, str]:
        service = rng.choice(self.accounts)
        return service.name, service.account

    def make_deleted_user(self, rng: random.Random) -> Deviation:
        """A service's user is gone."""
        service, account = self._account(rng)
        return self._identity(
            "deleted user", service, f"user {account} is missing",
            lambda keystone: keystone.delete_user(keystone.find_user(account)),
            frozenset(
                (host, unit.name)
                for host in self.cloud.controllers
                if (stage := self.prepared.bundles[host].stage(service))
                for unit in stage.units
                if unit.backend
            ),
        )  # fmt: skip

    def make_disabled_user(self, rng: random.Random) -> Deviation:
        """A service's user may not log in."""
        service, account = self._account(rng)
        return self._identity(
            "disabled user", service, f"user {account} is disabled",
            lambda keystone: keystone.update_user(keystone.find_user(account), enabled=False),
        )  # fmt: skip

    def make_changed_password(self, rng: random.Random) -> Deviation:
        """A service's user has another password."""
        service, account = self._account(rng)
        return self._identity(
            "changed password", service, f"user {account} has another password",
            lambda keystone: keystone.update_user(keystone.find_user(account), password="another"),
        )  # fmt: skip

    def make_removed_role(self, rng: random.Random) -> Deviation:
        """A service's user lacks a role."""
        service, account = self._account(rng)
        role = rng.choice(("admin", "service"))

        def act(keystone: Any) -> None:
            keystone.unassign_project_role_from_user(
                keystone.find_project("service"), keystone.find_user(account), keystone.find_role(role)
            )

        return self._identity("removed role", service, f"user {account} lacks role {role}", act)

    def _endpoint(self, rng: random.Random) -> tuple[str, str, str]:
        entry, interface = rng.choice(self.endpoints), rng.choice(("public", "internal", "admin"))
        (service,) = [each.name for each in self.accounts if each.endpoint is entry]
        return service, entry.type, interface

    def make_deleted_endpoint(self, rng: random.Random) -> Deviation:
        """The catalog lacks an entry."""
        service, kind, interface = self._endpoint(rng)
        return self._identity(
            "deleted endpoint", service, f"{interface} endpoint of {kind} is missing",
            lambda keystone: keystone.delete_endpoint(_entry(keystone, kind, interface)),
        )  # fmt: skip

    def make_changed_endpoint(self, rng: random.Random) -> Deviation:
        """The catalog leads elsewhere."""
        service, kind, interface = self._endpoint(rng)
        url = "http://192.0.2.1:1"
        return self._identity(
            "changed endpoint", service, f"{interface} endpoint of {kind} is {url}",
            lambda keystone: keystone.update_endpoint(_entry(keystone, kind, interface), url=url),
        )  # fmt: skip

    # Databases and messaging.

    def _sql(self, kind: str, name: str, needle: str, statement: str) -> Deviation:
        return Deviation(
            kind, self.first, f"database {name}", needle,
            lambda cloud: cloud.out(self.first, "mariadb", stdin=statement),
        )  # fmt: skip

    def make_dropped_database_account(self, rng: random.Random) -> Deviation:
        """A database account is gone."""
        name = rng.choice(self.databases)
        return self._sql("dropped account", name, f"account {name} is missing", f"DROP USER '{name}'@'%';")

    def make_changed_database_password(self, rng: random.Random) -> Deviation:
        """A database account has another password."""
        name = rng.choice(self.databases)
        return self._sql(
            "changed account", name, f"account {name} has another password",
            f"ALTER USER '{name}'@'%' IDENTIFIED BY 'another';",
        )  # fmt: skip

    def make_revoked_database_grant(self, rng: random.Random) -> Deviation:
        """A database account may not use its database."""
        name = rng.choice(self.databases)
        return self._sql(
            "revoked grant", name, f"account {name} may not use {name}",
            f"REVOKE ALL PRIVILEGES ON `{name}`.* FROM '{name}'@'%';",
        )  # fmt: skip

    def _rabbit(self, kind: str, needle: str, script: str) -> Deviation:
        subject = "messaging accounts and queues"
        return Deviation(kind, self.first, subject, needle, lambda cloud: cloud.out(self.first, script))

    def make_removed_permission(self, rng: random.Random) -> Deviation:
        """A messaging user has no rights."""
        name = rng.choice(self.vhosts)
        return self._rabbit(
            "removed permission",
            f"user {name} has not all rights",
            f"rabbitmqctl -q clear_permissions -p {name} {name}",
        )

    def make_deleted_messaging_user(self, rng: random.Random) -> Deviation:
        """A messaging user is gone."""
        name = rng.choice(self.vhosts)
        return self._rabbit("deleted messaging user", f"user {name} is missing", f"rabbitmqctl -q delete_user {name}")

    def make_guest_is_back(self, _rng: random.Random) -> Deviation:
        """The user with the well-known password is back."""
        return self._rabbit("guest is back", "user guest is there", "rabbitmqctl -q add_user guest guest")

    def make_missing_queue_member(self, rng: random.Random) -> Deviation:
        """A quorum queue has no copy on one broker."""
        vhost, node = rng.choice(("nova", "neutron", "cinder")), f"rabbit@{rng.choice(self.cloud.controllers[1:])}"
        script = (
            f"q=$(rabbitmqctl -q list_queues -p {vhost} name type --no-table-headers | awk '$2==\"quorum\"{{print $1}}'"
            f' | head -1) && [ -n "$q" ] && rabbitmq-queues delete_member --vhost {vhost} "$q" {node}'
        )
        return self._rabbit("missing queue member", f"in {vhost} has no member on {node}", script)

    # Load balancer, switches, Ceph.

    def make_drained_server(self, rng: random.Random) -> Deviation:
        """A server was taken out of rotation and forgotten."""
        host, server = rng.choice(self.cloud.controllers), rng.choice(self.cloud.controllers)
        services = self.prepared.context.services
        backend = rng.choice([each.name for service in services for each in service.backends])
        state = rng.choice(("drain", "maint"))
        return Deviation(
            "drained server", host, "servers in rotation", f"server {server} of {backend} is out of rotation",
            lambda cloud: cloud.out(host, "socat - UNIX-CONNECT:/run/haproxy/admin.sock",
                                    stdin=f"set server {backend}/{server} state {state}\n"),
        )  # fmt: skip

    def make_removed_bridge_port(self, rng: random.Random) -> Deviation:
        """A NIC is not in its bridge."""
        host = rng.choice(self.cloud.hosts)
        bridge, port = rng.choice((("br-ex", "ext0"), ("br-tenant", "tenant0")))
        return Deviation(
            "removed port", host, "bridges", f"NIC {port} is not in bridge {bridge}",
            lambda cloud: cloud.out(host, f"ovs-vsctl del-port {bridge} {port}"),
        )  # fmt: skip

    def make_removed_bridge(self, rng: random.Random) -> Deviation:
        """A bridge is gone."""
        host, bridge = rng.choice(self.cloud.hosts), rng.choice(("br-ex", "br-tenant"))
        return Deviation(
            "removed bridge", host, "bridges", f"bridge {bridge} is missing",
            lambda cloud: cloud.out(host, f"ovs-vsctl del-br {bridge}"),
        )  # fmt: skip

    def _ceph(self, kind: str, subject: str, needle: str, command: str) -> Deviation:
        return Deviation(kind, self.first, subject, needle, lambda cloud: cloud.out(self.first, f"ceph {command}"))

    def make_changed_pool(self, rng: random.Random) -> Deviation:
        """A pool would go on with a single copy."""
        pool = rng.choice(("images", "volumes", "vms"))
        return self._ceph("changed pool", "pools", f"pool {pool} has min_size 1", f"osd pool set {pool} min_size 1")

    def make_unmarked_pool(self, rng: random.Random) -> Deviation:
        """A pool has lost its mark."""
        pool = rng.choice(("images", "volumes", "vms"))
        return self._ceph(
            "unmarked pool", "pools", f"pool {pool} is not marked",
            f"osd pool application disable {pool} rbd --yes-i-really-mean-it",
        )  # fmt: skip

    def make_changed_ceph_rights(self, rng: random.Random) -> Deviation:
        """A key may do more than it should."""
        client = rng.choice(("client.glance", "client.cinder"))
        return self._ceph(
            "changed key", "keys", f"key {client} has another secret or other rights",
            f"auth caps {client} mon 'profile rbd' osd 'allow *' mgr 'profile rbd'",
        )  # fmt: skip

    def make_deleted_ceph_key(self, _rng: random.Random) -> Deviation:
        """A key is gone."""
        return self._ceph("deleted key", "keys", "key client.bootstrap-osd is missing", "auth del client.bootstrap-osd")

    def make_changed_ceph_setting(self, rng: random.Random) -> Deviation:
        """A setting of the monitors is another."""
        value = rng.choice(("60", "86400"))
        return self._ceph(
            "changed setting", "settings", f"mon_osd_down_out_interval is {value}",
            f"config set mon mon_osd_down_out_interval {value}",
        )  # fmt: skip

    def make_mgr_module(self, _rng: random.Random) -> Deviation:
        """A module is on that was switched off."""
        return self._ceph("module on", "settings", "mgr module iostat is on", "mgr module enable iostat --force")


def batches(makers: Makers, rng: random.Random, count: int, size: int) -> Iterator[Sequence[Deviation]]:
    """`count` batches of `size` deviations: every kind before any a second time, no subject twice in a batch."""
    kinds = makers.kinds()
    pool: list[str] = []
    for _batch in range(count):
        batch: list[Deviation] = []
        later: list[str] = []
        while len(batch) < size:
            if not pool:
                pool = sorted(kinds)
                rng.shuffle(pool)
            kind = pool.pop()
            deviation = kinds[kind](rng)
            if all(_apart(deviation, other) for other in batch):
                batch.append(deviation)
            else:
                later.append(kind)
        pool = later + pool
        yield batch


def _apart(one: Deviation, other: Deviation) -> bool:
    """False if one would hide the other, or both together would take away a service's majority."""
    if one.subject == other.subject:
        return False
    units = [{each.subject, *(unit for _host, unit in each.follows)} for each in (one, other)]
    return not units[0] & units[1]


def _entry(keystone: Any, kind: str, interface: str) -> Any:
    (service,) = [each for each in keystone.services() if each.type == kind]
    (entry,) = keystone.endpoints(service_id=service.id, interface=interface)
    return entry
