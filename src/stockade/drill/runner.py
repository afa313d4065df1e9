"""One trial: load, fault, heal, and everything written down. See docs/design/drill.md for its states."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stockade.build.clients import admin_auth, ca_path
from stockade.build.engine import Engine
from stockade.cloud.model import Cloud
from stockade.cloud.timers import timers
from stockade.demo import story
from stockade.drill import observe, roles, things
from stockade.drill.breakage import break_and_heal
from stockade.drill.faults.base import Package
from stockade.drill.faults.kinds import package
from stockade.drill.faults.undo import HealPlan, perform
from stockade.drill.history import SCHEMA, Event, Kind
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.process import LoadProcess
from stockade.drill.record import HistoryFile
from stockade.drill.scenario import Scenario, TargetRole
from stockade.drill.scene import Scene, Things
from stockade.errors import StockadeError, UsageError
from stockade.machines.base import Machines, Progress

BEGIN_S = 60.0
"""The load has its first token by then."""
HEALTH_EVERY_S = 10.0
"""Asking costs every host seconds of CPU, which a lab has not got to spare while a host comes back."""
VERSIONS = (
    "mariadb-server", "galera-4", "rabbitmq-server", "haproxy", "keepalived", "ceph-common", "etcd-server",
    "keystone", "nova-api", "neutron-api", "openvswitch-switch", "linux-image-amd64",
)  # fmt: skip


@dataclass
class Trial:
    """One trial of a scenario on a cloud. `watch` sees every event, for the live view."""

    cloud: Cloud
    machines: Machines
    scenario: Scenario
    seed: int
    number: int
    progress: Progress
    watch: Callable[[Event], None]

    async def run(self, path: Path) -> Path:
        """Run it and write its history to `path`; the path of the finished file.

        Raises UsageError or StockadeError if it came to no injection. From then on whatever goes wrong is part of the
        trial and in its history; the fault is healed, or its heal plan is still on disk.
        """
        plan = HealPlan(self.cloud)
        plan.refuse_if_due()
        await self._healthy_before()
        made = await asyncio.to_thread(things.prepare, self.cloud)
        names: list[str] = []
        scene = Scene(self.cloud, self.machines, made, lambda: list(names))
        if self.scenario.target is TargetRole.EVERYTHING:
            (onto,) = await roles.resolve(scene, self.scenario.target)
            if await roles.gather(scene, onto, plan):
                await self._healthy_before()
        history = HistoryFile(path, lambda event: self._seen(event, names))
        history.write(Kind.RUN, "", value=await self._header(scene))
        try:
            await self._stages(scene, history, plan)
            history.write(Kind.END, "")
        except StockadeError as error:
            if not history.injected:
                raise
            # Counted as it is: a trial that may be thrown away when it ends badly proves nothing.
            history.write(Kind.OBSERVE, "trouble", error=str(error))
        finally:
            with suppress(Exception):
                await asyncio.to_thread(things.discard, self.cloud)
        return history.close()

    async def _stages(self, scene: Scene, history: HistoryFile, plan: HealPlan) -> None:
        rng = random.Random(self.seed)
        load = await self._load(scene, history)
        try:
            self.progress.doing("drill", "load runs; baseline")
            await self._hold(load, self.scenario.baseline_s + rng.random() * self.scenario.jitter_s)
            fault = await self._aim(scene, history)
            self.progress.doing("drill", f"{self.scenario.fault.kind}, then heal")
            trouble = await break_and_heal(
                fault,
                self.scenario,
                history,
                plan,
                lambda seconds: self._hold(load, seconds),
                lambda: perform(fault.undo, self.cloud, self.machines),
            )
            if trouble:
                history.write(Kind.OBSERVE, "trouble", error=trouble)
            await self._settle(history, load)
            self.progress.doing("drill", "the load goes on")
            await self._hold(load, self.scenario.tail_s)
            self.progress.doing("drill", "reads back what was acknowledged")
            await load.stop()
        except BaseException:
            load.kill()
            raise
        await observe.finally_observe(
            scene, history, await asyncio.to_thread(self._token), volume=self.scenario.load.writer > 0
        )

    def _token(self) -> str:
        """A new token, empty if none can be had: that the reads fail then is part of the evidence."""
        try:
            return str(story.connect(self.cloud).authorize())
        except Exception:
            return ""

    async def _aim(self, scene: Scene, history: HistoryFile) -> Package:
        hosts = await roles.resolve(scene, self.scenario.target)
        history.write(Kind.OBSERVE, "target", value={"hosts": list(hosts), "roles": await roles.roles(scene)})
        return package(self.scenario.fault, scene, hosts)

    async def _settle(self, history: HistoryFile, load: LoadProcess) -> None:
        """Ask for the cloud's own health until it is complete or time is up; every answer is written down."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.scenario.expect.redundant_within_s
        while True:
            self.progress.doing("drill", "waits until the cloud is complete again")
            wrong = await self._wrong()
            history.write(Kind.OBSERVE, "health", value={"healthy": not wrong, "wrong": wrong[:10]})
            if not wrong or loop.time() > deadline:
                return
            await self._hold(load, HEALTH_EVERY_S)

    async def _hold(self, load: LoadProcess, seconds: float) -> None:
        """Let time pass while the load runs. Raises StockadeError if the load is gone."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            if load.ended:
                await load.stop()
                raise StockadeError("the load ended before it was told to")
            await asyncio.sleep(min(left_s, 0.5))

    async def _load(self, scene: Scene, history: HistoryFile) -> LoadProcess:
        begun = asyncio.Event()

        def forward(line: str) -> None:
            history.forward(line)
            begun.set()

        self.progress.doing("drill", "starts the load")
        load = await LoadProcess.start(await asyncio.to_thread(self._load_plan, scene.things, history.base_ns), forward)
        try:
            async with asyncio.timeout(BEGIN_S):
                while not begun.is_set():
                    if load.ended:
                        await load.stop()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            load.kill()
            raise StockadeError(f"the load did not begin within {BEGIN_S:.0f} s") from None
        return load

    def _load_plan(self, made: Things, base_ns: int) -> LoadPlan:
        auth = admin_auth(self.cloud)["auth"]
        return LoadPlan(
            seed=self.seed,
            base_ns=base_ns,
            ca_file=None if self.cloud.certificate else str(ca_path(self.cloud)),
            username=auth["username"],
            password=auth["password"],
            project_name=auth["project_name"],
            apis=things.apis(self.cloud),
            vips={"internal": str(self.cloud.internal_vip), "external": str(self.cloud.external_vip)},
            load=self.scenario.load,
            server=made.server,
            guest=made.guest,
        )

    async def _healthy_before(self) -> None:
        if wrong := await self._wrong():
            lines = "\n".join(f"  {each}" for each in wrong[:10])
            raise UsageError(
                f"the cloud is not healthy, so a drill would prove nothing:\n{lines}\n"
                "  next: stockade status, stockade up"
            )

    async def _wrong(self) -> list[str]:
        answers = await Engine(self.cloud, self.machines, self.progress).status()
        return [f"{each.host} {each.service}: {each.text}" for each in answers if not each.ok]

    async def _header(self, scene: Scene) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "run": f"{self.scenario.name}-{self.number}",
            "scenario": self.scenario.model_dump(mode="json"),
            "digest": self.scenario.digest,
            "seed": self.seed,
            "trial": self.number,
            "wall": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "cloud": self.cloud.name,
            "environment": await self._environment(scene),
        }

    async def _environment(self, scene: Scene) -> dict[str, Any]:
        first = scene.cloud.controllers[0].name
        query = f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(VERSIONS)} 2>/dev/null || true"
        versions = (line.split(" ", 1) for line in (await scene.out(first, query)).splitlines() if " " in line)
        roles_of = {host.name: ", ".join(sorted(host.roles)) for host in self.cloud.hosts}
        used = {name: str(value) for name, value in asdict(timers(self.cloud.ha_profile)).items()}
        return {"hosts": roles_of, "packages": dict(versions), "timers": used}

    def _seen(self, event: Event, names: list[str]) -> None:
        if event.kind is Kind.OK and event.f == "set-add" and event.key:
            names.append(event.key)
        self.watch(event)
