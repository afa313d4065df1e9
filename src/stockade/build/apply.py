"""Carrying a plan out: services as a graph, hosts side by side, each service behind its health gate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stockade.build.context import Context
from stockade.build.model import Backend, Bundles, Check, Resource, Service, Stage, Start, Unit, Where
from stockade.build.plan import Change, Plan, marker
from stockade.build.remote import call
from stockade.build.render import in_order
from stockade.errors import BuildError
from stockade.machines.base import Machines, Progress
from stockade.machines.common import gather_all

APPLY_TIMEOUT_S = 4 * 3600
"""One step of one host, and what it waits for; migrating a large schema is the longest."""
DRAIN_S = 60
"""How long the last requests of a drained server may take: the RPC timeout."""
SERVING_S = 6
"""How long a service may take to show that it works before a restart; longer than one slow answer."""
PRESEED = """nova-consoleproxy nova-consoleproxy/daemon_type select novnc
neutron-openvswitch-agent neutron-openvswitch-agent/overlay-int-ip-address string
"""
"""Answers for Debian's installers: noVNC instead of SPICE, and no 127.0.0.1 as tunnel address."""


@dataclass(slots=True)
class Applied:
    """What was done, host by host, in the order it happened."""

    done: list[tuple[str, str]] = field(default_factory=list)

    @property
    def restarts(self) -> int:
        """How many running units were restarted."""
        return sum(1 for _host, text in self.done if text.startswith("restart "))


@dataclass(frozen=True, slots=True)
class _Step:
    """What one `apply` request asks for."""

    service: str
    packages: list[str] = field(default_factory=list)
    directories: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    mask: list[str] = field(default_factory=list)
    unmask: list[str] = field(default_factory=list)
    before: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """True if it asks for nothing."""
        return not any(getattr(self, name) for name in self.__slots__ if name != "service")

    def request(self) -> dict[str, Any]:
        """As the host side reads it."""
        return {"do": "apply", "preseed": PRESEED} | {name: getattr(self, name) for name in self.__slots__}


class Applier:
    """Applies one plan. Services whose dependencies are done run side by side."""

    def __init__(self, context: Context, machines: Machines, bundles: Bundles, plan: Plan, progress: Progress) -> None:
        self._context, self._machines, self._bundles = context, machines, bundles
        self._plan, self._progress = plan, progress
        self._services = {service.name: service for service in in_order(context.services)}
        # One interruption at a time over all services, so never two controllers at once.
        self._rolling = asyncio.Lock()
        self._failed = asyncio.Event()
        self.applied = Applied()

    async def run(self) -> Applied:
        """Do it all. Raises the first failure, after the steps under way have ended."""
        changed = self._plan.services()
        # Also what the changed ones stand on: a run killed before its gate left that unproven.
        gated = _ancestors(changed, self._services)
        self._progress.phase("build", len(changed))
        done = {name: asyncio.Event() for name in self._services}

        async def one(service: Service) -> None:
            for name in service.after:
                await done[name].wait()
            started = time.monotonic()
            try:
                # After a failure nothing new is begun; what is under way ends in its own good order.
                if self._failed.is_set():
                    return
                if service.name in changed:
                    await self._service(service)
                    self._progress.advance()
                    self._progress.note(f"{service.name}: {time.monotonic() - started:.1f} s")
                elif service.name in gated:
                    await self._gate(service)
            except BaseException:
                self._failed.set()
                raise
            finally:
                done[service.name].set()

        await gather_all(one(service) for service in self._services.values())
        return self.applied

    async def _service(self, service: Service) -> None:
        stages = {
            host: stage
            for host, bundle in self._bundles.items()
            if (stage := bundle.stage(service.name)) and self._plan.of(host, service.name)
        }
        # What serves users now and will be interrupted goes last, one host at a time, on a healthy rest. Where
        # the service does not work anyway there is nothing to protect, and the change may be what mends it.
        interrupted = [host for host, stage in stages.items() if self._interrupts(stage)]
        rolling = interrupted
        if interrupted and not service.quorum:
            rolling = await self._serving(service, interrupted)
        at_once = [stage for host, stage in stages.items() if host not in rolling]
        if not service.quorum:
            # Killed between the first host's change and the last one's restart, the next run must know of the restart
            # though nothing else may tell: an account made anew is the same account to whoever looks.
            await self._everywhere(self._forget(stages[host]) for host in rolling)
        await self._everywhere(self._prepare(stage) for stage in at_once)
        await self._everywhere(self._start(stage) for stage in at_once)
        await self._everywhere(self._finish(stage) for stage in at_once)
        if service.quorum or not rolling:
            await self._gate(service)
        else:
            # Only what was touched: what is wrong with the whole may be what the rest of the change mends.
            await self._everywhere(
                self._wait(stage.host, [check for check in stage.checks if check.where is Where.EACH])
                for stage in at_once
            )
        for host in rolling:
            async with self._rolling:
                if self._failed.is_set():
                    return
                if service.quorum:
                    # Minutes may have passed while others had their turn: what was healthy then need not be now.
                    await self._gate(service)
                await self._one_by_one(service, host, stages[host])
                await self._gate(service)

    async def _everywhere(self, steps: Iterable[Any]) -> None:
        """Side by side; the first failure is raised once all have ended, so that no host is left half-way."""
        await gather_all(steps)

    def _interrupts(self, stage: Stage) -> bool:
        """True if something of this stage that runs now will be restarted."""
        return any(change.verb == "restart" for change in self._plan.of(stage.host, stage.service))

    async def _one_by_one(self, service: Service, host: str, stage: Stage) -> None:
        restarting = {change.subject for change in self._plan.of(host, service.name) if change.verb == "restart"}
        named = {backend.name: backend for backend in service.backends}
        drained = [unit.backend for unit in stage.units if unit.backend and unit.name in restarting]
        answering = [named[name] for name in drained if name in named]
        # Before the first change: a member that may not go is left as it is.
        await self._wait(host, service.may_stop(self._context))
        await self._prepare(stage)
        try:
            await self._drain(host, drained)
            await self._start(stage)
            await self._finish(stage)
            await self._wait(host, [*_ready_again(self._context, host, answering), *stage.checks])
        finally:
            # Whatever happened, HAProxy's own checks decide from here; a forgotten drain would outlive us.
            await self._undrain(host, drained)

    async def _drain(self, host: str, backends: list[str]) -> None:
        if backends:
            request = {
                "do": "drain",
                "server": host,
                "backends": backends,
                "timeout_s": DRAIN_S,
            }
            await self._everywhere(self._call(each.name, request) for each in self._context.cloud.controllers)

    async def _undrain(self, host: str, backends: list[str]) -> None:
        if backends:
            request = {"do": "undrain", "server": host, "backends": backends}
            await self._everywhere(self._call(each.name, request) for each in self._context.cloud.controllers)

    async def _prepare(self, stage: Stage) -> None:
        """Packages, directories, files, and what must be so before the units start."""
        changes = self._plan.of(stage.host, stage.service)
        wanted = _subjects(changes)
        files = [file for file in stage.files if file.path in wanted["file"]]
        rewritten = {file.path for file in files}
        bundle = self._bundles[stage.host]
        step = _Step(
            stage.service,
            packages=sorted(wanted["package"]),
            directories=[
                {"path": each.path, "owner": each.owner, "group": each.group, "mode": each.mode}
                for each in stage.directories
                if each.path in wanted["directory"]
            ],
            files=[
                {
                    "path": each.path,
                    "content": each.content,
                    "owner": each.owner,
                    "group": each.group,
                    "mode": each.mode,
                }
                for each in files
            ],
            stale=sorted(
                unit.name for each in bundle.stages for unit in each.units if rewritten & {*unit.reads, *unit.reloads}
            ),
            mask=sorted(wanted["mask"]),
            unmask=[unit.name for unit in stage.units],
            before=[_resource(each) for each in stage.before_start if each.name in wanted["resource"]],
        )
        await self._do(stage.host, step)

    async def _forget(self, stage: Stage) -> None:
        """Markers of units that will restart."""
        changes = self._plan.of(stage.host, stage.service)
        await self._do(
            stage.host, _Step(stage.service, stale=[each.subject for each in changes if each.verb == "restart"])
        )

    async def _start(self, stage: Stage) -> None:
        """Units, started, restarted or reloaded."""
        known = {file.path: file for each in self._bundles[stage.host].stages for file in each.files}
        verbs = {
            change.subject: change.verb for change in self._plan.of(stage.host, stage.service) if change.kind == "unit"
        }
        units = [_unit(unit, verbs[unit.name], marker(unit, known)) for unit in stage.units if unit.name in verbs]
        await self._do(stage.host, _Step(stage.service, units=units))

    async def _finish(self, stage: Stage) -> None:
        """What must be so once the units run."""
        wanted = _subjects(self._plan.of(stage.host, stage.service))
        await self._do(
            stage.host,
            _Step(
                stage.service,
                resources=[_resource(each) for each in stage.resources if each.name in wanted["resource"]],
            ),
        )

    async def _do(self, host: str, step: _Step) -> None:
        if step.empty:
            return
        answer = await self._call(host, step.request())
        self.applied.done += [(host, text) for text in answer["done"]]

    async def _gate(self, service: Service) -> None:
        """Wait until the service is healthy on every host it has."""
        stages = [stage for bundle in self._bundles.values() if (stage := bundle.stage(service.name))]
        await self._everywhere(self._wait(stage.host, stage.checks) for stage in stages)

    async def _serving(self, service: Service, hosts: Sequence[str]) -> list[str]:
        """Those of `hosts` where the service works; none if its API answers nowhere: nothing is left to protect.

        One late answer is no reason to give up the protection: what fails is asked again for `SERVING_S`.
        """
        broken: set[str] = set()
        for bundle in self._bundles.values():
            stage = bundle.stage(service.name)
            for check in stage.checks if stage else ():
                request = {"do": "wait", "checks": [check_request(check) | {"timeout_s": SERVING_S}]}
                if not (await self._call(bundle.host, request))["failed"]:
                    continue
                if check.where is Where.EACH:
                    broken.add(bundle.host)
                elif check.kind == "http_answers":
                    return []
        return [host for host in hosts if host not in broken]

    async def _wait(self, host: str, checks: Iterable[Check]) -> None:
        wanted = [check_request(check) for check in checks]
        if not wanted:
            return
        answer = await self._call(host, {"do": "wait", "checks": wanted})
        for name, why in answer["failed"].items():
            raise BuildError(
                host,
                f"{name} did not become healthy: {why}",
                next_step="`stockade status` shows what else is down; `stockade up` goes on from here",
            )

    async def _call(self, host: str, request: dict[str, Any]) -> Any:
        transport = self._machines.transport(self._context.cloud.host(host))
        try:
            return await call(
                transport,
                host,
                request,
                timeout_s=APPLY_TIMEOUT_S,
                doing=lambda line: self._progress.doing(host, line),
            )
        finally:
            self._progress.doing(host, "")


def _ancestors(names: Iterable[str], services: Mapping[str, Service]) -> frozenset[str]:
    """Everything `names` come after, directly or not."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        new = set(services[todo.pop()].after) - found
        found |= new
        todo += new
    return frozenset(found)


def check_request(check: Check) -> dict[str, Any]:
    """A check as the host side reads it."""
    return {"name": check.name, "kind": check.kind, "args": check.args, "timeout_s": check.timeout_s}


def _ready_again(context: Context, host: str, backends: Iterable[Backend]) -> list[Check]:
    address = context.cloud.host(host).management
    return [
        Check(
            f"{each.name} on {host}",
            "http_answers",
            {"url": f"http://{address}:{each.port}{each.check}", "status": int(each.expect)},
        )
        for each in backends
    ]


def _subjects(changes: Iterable[Change]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {kind: set() for kind in ("package", "directory", "file", "mask", "unit", "resource")}
    for change in changes:
        found[change.kind].add(change.subject)
    return found


def _resource(resource: Resource) -> dict[str, Any]:
    return {"name": resource.name, "program": resource.program, "desired": resource.desired}


def _unit(unit: Unit, verb: str, value: str) -> dict[str, Any]:
    return {"name": unit.name, "verb": verb, "marker": value, "at_boot": unit.start is Start.BOOT}
