"""Clouds to render, and hosts that exist only in memory: the build's tests stand on these."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from stockade.build.apply import Applied, Applier
from stockade.build.context import Context, Hardware
from stockade.build.model import Bundle, Bundles, File, Service, Start, Unit
from stockade.build.plan import Facts, Plan, facts_request, marker, plan, resource_key
from stockade.build.remote import call
from stockade.build.render import render
from stockade.build.secrets import Secrets
from stockade.build.services import SERVICES
from stockade.cloud.load import lab_example, load
from stockade.cloud.model import Cloud
from stockade.cloud.timers import timers
from stockade.machines.base import Completed
from stockade.machines.fake import FakeMachines, FakeProgress

Json = dict[str, Any]
CLOUDS = {name: load(lab_example().parent / f"{name}.yaml") for name in ("lab", "servers")}
LAB_HARDWARE = Hardware(cores=2, memory_mib=4096)
SERVER_HARDWARE = Hardware(cores=32, memory_mib=262144, kvm=True, openvswitch_module=True)


class NamedSecrets(Secrets):
    """Secrets whose values are their names, so that a rendered file says which secret stands where."""

    def password(self, name: str) -> str:
        """`<secret NAME>`."""
        return self._get(name, lambda: f"<secret {name}>")

    def uuid(self, name: str) -> str:
        """A UUID that depends on the name only."""
        return self._get(name, lambda: str(uuid.uuid5(uuid.NAMESPACE_DNS, name)))

    fernet_key = ceph_key = password


def context(name: str = "lab", secrets: Secrets | None = None, services: Sequence[Service] = SERVICES) -> Context:
    """All that rendering one of the packaged clouds depends on."""
    cloud = CLOUDS[name]
    hardware = LAB_HARDWARE if name == "lab" else SERVER_HARDWARE
    interfaces = {
        host.name: {str(address): host.nics[plane] for plane, address in host.addresses.items() if plane in host.nics}
        for host in cloud.hosts
    }
    return Context(
        cloud=cloud,
        timers=timers(cloud.ha_profile),
        secrets=secrets or NamedSecrets(),
        hardware={host.name: replace(hardware, interfaces=interfaces[host.name]) for host in cloud.hosts},
        services=services,
    )


@cache
def rendered(name: str) -> Bundles:
    """The bundles of one of the packaged clouds."""
    return render(context(name))


def files_of(bundle: Bundle) -> dict[str, File]:
    """A host's files by path."""
    return {file.path: file for stage in bundle.stages for file in stage.files}


def units_of(bundle: Bundle) -> dict[str, Unit]:
    """A host's units by name."""
    return {unit.name: unit for stage in bundle.stages for unit in stage.units}


def options(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(value, comment right above) of each option of a configuration file, by section and option."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    section, comment = "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            comment += line.removeprefix("#")
            continue
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line:
            option, _, value = line.partition("=")
            found[section, option.strip()] = (value.strip(), comment.strip())
        comment = ""
    return found


def perfect(bundle: Bundle) -> Json:
    """The facts of a host that is all its bundle says, every unit running."""
    files = files_of(bundle)
    described: Json = {
        path: {"type": "file", "owner": file.owner, "group": file.group, "mode": file.mode, "sha256": digest(file)}
        for path, file in files.items()
    }
    for stage in bundle.stages:
        for each in stage.directories:
            described[each.path] = {
                "type": "directory",
                "owner": each.owner,
                "group": each.group,
                "mode": each.mode,
            }
    return {
        "files": described,
        "units": {
            name: {
                "load": "loaded",
                "active": "inactive" if unit.oneshot else "active",
                "sub": "running",
                "enabled": "enabled" if unit.start is Start.BOOT else "disabled",
                "marker": marker(unit, files),
            }
            for name, unit in units_of(bundle).items()
        },
        "masked": dict.fromkeys(bundle.masked, True),
        "packages": {name: "1.0" for stage in bundle.stages for name in stage.packages},
        "resources": {
            resource_key(stage, each): [] for stage in bundle.stages for each in (*stage.before_start, *stage.resources)
        },
    }


def digest(file: File) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(file.content.encode()).hexdigest()


class Killed(Exception):
    """The run was killed here."""


@dataclass
class SimUnit:
    """A unit on a simulated host. `settings` are the digests of the files it read when it was last started."""

    active: bool = False
    sub: str = "running"
    enabled: bool = False
    marker: str = ""
    by_agent: bool = False
    oneshot: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    starts: int = 0


@dataclass
class SimHost:
    """A host that does what the host side does, in memory. `step` is called before each change and may raise."""

    name: str
    readers: Mapping[str, Unit]
    log: list[str]
    step: Callable[[], None]
    files: dict[str, Json] = field(default_factory=dict)
    units: dict[str, SimUnit] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    masked: dict[str, bool] = field(default_factory=dict)
    resources: dict[tuple[str, str], str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Units that fail to start, and checks that never say yes."""

    def unit(self, name: str) -> SimUnit:
        """The unit called `name`, down and disabled if it was never seen."""
        return self.units.setdefault(name, SimUnit())

    def settings(self, name: str) -> dict[str, str]:
        """What the unit would read if it started now."""
        unit = self.readers.get(name, Unit(name))
        return {path: self.files[path]["sha256"] for path in (*unit.reads, *unit.reloads) if path in self.files}

    def answer(self, argv: Sequence[str], stdin: str) -> Completed:
        """An `Answer` of a fake transport."""
        assert argv[:2] == ["python3", "-c"], argv
        request = json.loads(stdin)["request"]
        try:
            answer = {"ok": True, "answer": getattr(self, f"do_{request['do']}")(request)}
        except RuntimeError as error:
            answer = {"ok": False, "error": str(error), "unit": "", "log": []}
        return Completed(0, json.dumps(answer), "")

    def do_hardware(self, _request: Json) -> Json:
        """A small machine."""
        return {"cores": 2, "memory_mib": 4096, "kvm": False, "openvswitch_module": False, "interfaces": {}}

    def do_facts(self, request: Json) -> Json:
        """As `hostside.main.facts`."""
        return {
            "files": {path: self.files.get(path) for path in request["files"]},
            "units": {name: self._unit_facts(name) for name in request["units"]},
            "masked": {name: self.masked[name] for name in request["masked"] if name in self.masked},
            "packages": {name: "1.0" for name in request["packages"] if name in self.packages},
            "resources": {
                each["key"]: []
                if self.resources.get((each["program"], each["name"])) == canonical(each["desired"])
                else ["is not as it should be"]
                for each in request["resources"]
            },
        }

    def _unit_facts(self, name: str) -> Json:
        unit = self.unit(name)
        return {
            "load": "loaded",
            "active": "active" if unit.active and not unit.oneshot else "inactive",
            "sub": unit.sub,
            "enabled": "enabled" if unit.enabled else "disabled",
            "marker": unit.marker,
        }

    def do_apply(self, request: Json) -> Json:
        """As `hostside.main.apply`, in the same order."""
        for name in request["packages"]:
            self._do(f"install {name}", self.packages.add, name)
        for name in request["stale"]:
            self._do(f"forget {name}", setattr, self.unit(name), "marker", "")
        for each in request["directories"]:
            self._do(f"mkdir {each['path']}", self.files.__setitem__, each["path"], entry("directory", each))
        for each in request["files"]:
            self._do(f"write {each['path']}", self.files.__setitem__, each["path"], entry("file", each))
        for name in request["mask"]:
            self._do(f"mask {name}", self.masked.__setitem__, name, True)
        self._settle(request["before"])
        for each in request["units"]:
            self._act(each)
        self._settle(request["resources"])
        return {"done": [f"{each['verb']} {each['name']}" for each in request["units"] if each["verb"]]}

    def _do(self, text: str, action: Callable[..., object], *arguments: object) -> None:
        self.step()
        self.log.append(f"{self.name} {text}")
        action(*arguments)

    def _settle(self, resources: Sequence[Json]) -> None:
        for each in resources:
            key = (each["program"], each["name"])
            self._do(f"settle {each['name']}", self.resources.__setitem__, key, canonical(each["desired"]))

    def _act(self, request: Json) -> None:
        unit = self.unit(request["name"])
        unit.oneshot = self.readers.get(request["name"], Unit("")).oneshot
        unit.enabled, unit.by_agent = request["at_boot"], not request["at_boot"]
        if request["verb"] and (request["at_boot"] or unit.active):
            self._do(f"{request['verb']} {request['name']}", self._run, request["name"])
        self._do(f"remember {request['name']}", setattr, unit, "marker", request["marker"])

    def _run(self, name: str) -> None:
        if name in self.broken:
            raise RuntimeError(f"systemd could not start {name}")
        unit = self.unit(name)
        unit.active, unit.sub, unit.settings = True, "running", self.settings(name)
        unit.starts += 1

    def do_wait(self, request: Json) -> Json:
        """The agent gets its turn, then the checks are asked."""
        for name, unit in self.units.items():
            if unit.by_agent and unit.marker and not unit.active:
                self._do(f"agent starts {name}", self._run, name)
        failed = {}
        for check in request["checks"]:
            self.log.append(f"{self.name} wait {check['name']}")
            if not self._well(check):
                failed[check["name"]] = "it is broken"
        return {"failed": failed}

    def do_status(self, request: Json) -> Json:
        """Every check says yes unless it is broken or a unit it names is down."""
        return {
            "checks": [{"name": each["name"], "ok": self._well(each), "text": "seen"} for each in request["checks"]]
        }

    def _well(self, check: Json) -> bool:
        down = [name for name in check["args"].get("units", ()) if not self.unit(name).active]
        return not down and check["name"] not in self.broken

    def do_drain(self, request: Json) -> Json:
        """Remember it; fails if this host's HAProxy is broken."""
        self.log.append(f"{self.name} drain {request['server']} {' '.join(request['backends'])}")
        if "haproxy" in self.broken:
            raise RuntimeError("HAProxy does not answer")
        return {"clean": True}

    def do_undrain(self, request: Json) -> Json:
        """Remember it."""
        self.log.append(f"{self.name} undrain {request['server']} {' '.join(request['backends'])}")
        return {}


def entry(kind: str, request: Json) -> Json:
    """Facts of a file or directory just made."""
    found = {"type": kind, "owner": request["owner"], "group": request["group"], "mode": request["mode"]}
    if kind == "file":
        found["sha256"] = hashlib.sha256(request["content"].encode()).hexdigest()
    return found


def canonical(desired: object) -> str:
    """A desired state as text that is equal when the state is."""
    return json.dumps(desired, sort_keys=True)


class World:
    """All hosts of a cloud in memory, and the runs of `up` on them."""

    def __init__(self, known: Context, stray: Sequence[str] = ()) -> None:
        self.context = known
        self.bundles = render(known)
        self.log: list[str] = []
        self.kill_after: int | None = None
        self.machines = FakeMachines(known.cloud)
        self.hosts = {}
        for name, bundle in self.bundles.items():
            host = SimHost(name, units_of(bundle), self.log, self._step)
            host.masked = {unit: False for unit in stray if unit in bundle.masked}
            self.hosts[name] = host
            self.machines.transports[name].answer = host.answer

    @property
    def cloud(self) -> Cloud:
        """The cloud all this is for."""
        return self.context.cloud

    def _step(self) -> None:
        if self.kill_after is not None:
            if not self.kill_after:
                raise Killed
            self.kill_after -= 1

    def facts(self) -> dict[str, Facts]:
        """What all hosts report."""

        async def ask() -> dict[str, Facts]:
            return {
                host: await call(
                    self.machines.transport(self.cloud.host(host)), host, facts_request(bundle), timeout_s=9
                )
                for host, bundle in self.bundles.items()
            }

        return asyncio.run(ask())

    def plan(self) -> Plan:
        """What `up` would do now."""
        return plan(self.bundles, self.facts())

    def up(self, known: Context | None = None) -> Applied:
        """A whole run, with the cloud as `known` has it from now on. Raises what the run raised, one by one."""
        if known:
            self.context, self.bundles = known, render(known)
            for name, bundle in self.bundles.items():
                self.hosts[name].readers = units_of(bundle)
        self.log.clear()
        applier = Applier(self.context, self.machines, self.bundles, self.plan(), FakeProgress())
        return asyncio.run(applier.run())

    def stale(self) -> list[str]:
        """Units that run with other settings than the files have."""
        return [
            f"{host.name} {name}"
            for host in self.hosts.values()
            for name, unit in host.units.items()
            if unit.active and unit.settings != host.settings(name)
        ]


def errors_in(error: BaseException) -> Iterator[BaseException]:
    """The errors of a run, without the groups around them."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from errors_in(each)
    else:
        yield error
