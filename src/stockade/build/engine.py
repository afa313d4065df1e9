"""`plan`, `up` and `status` from end to end: machines, facts, plan, apply. The shell around the pure parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stockade.build.apply import Applied, Applier, check_request
from stockade.build.clients import write_clouds_yaml
from stockade.build.context import Context, Hardware
from stockade.build.model import Answer, Bundles
from stockade.build.plan import Facts, Plan, facts_request, plan
from stockade.build.remote import call
from stockade.build.render import render
from stockade.build.report import with_vips
from stockade.build.secrets import Secrets
from stockade.build.services import SERVICES
from stockade.cloud.model import Cloud, Host, Role, names
from stockade.cloud.paths import state_dir
from stockade.cloud.timers import timers
from stockade.errors import StockadeError
from stockade.machines.base import Machines, Progress

FACTS_TIMEOUT_S = 180
STATUS_TIMEOUT_S = 60
SETTLE_S = 120
"""Longest of what reports in by itself after a boot: an agent's back-off while its broker was away, and two reports."""
SETTLE_POLL_S = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cloud compared with its machines."""

    context: Context
    bundles: Bundles
    facts: Mapping[str, Facts]
    plan: Plan


class Engine:
    """Works on one cloud over its machines."""

    def __init__(self, cloud: Cloud, machines: Machines, progress: Progress) -> None:
        self._cloud, self._machines, self._progress = cloud, machines, progress

    async def prepare(self) -> Prepared:
        """Hardware, bundles, facts and plan. Changes nothing on the hosts."""
        self._progress.phase("facts", 2 * len(self._cloud.hosts))
        context = await self._context()
        bundles = render(context)
        requests = {host: facts_request(bundle) for host, bundle in bundles.items()}
        facts = await self._ask(requests, FACTS_TIMEOUT_S)
        if context.secrets.fresh and any(unit["marker"] for each in facts.values() for unit in each["units"].values()):
            raise StockadeError(
                f"the machines were built with secrets that {state_dir(self._cloud.name)}/secrets.json does not hold\n"
                "  next: restore that file from its backup; new secrets would lock the running services out"
            )
        return Prepared(context, bundles, facts, plan(bundles, facts))

    async def apply(self, prepared: Prepared) -> Applied:
        """Carry the plan out. The secrets are safe on disk before the first host hears of them."""
        prepared.context.secrets.save()
        write_clouds_yaml(self._cloud)
        applier = Applier(prepared.context, self._machines, prepared.bundles, prepared.plan, self._progress)
        return await applier.run()

    async def read(self, host: str, paths: list[str]) -> dict[str, str]:
        """Contents of files on a host, for a diff."""
        answer = await self._ask({host: {"do": "read", "files": paths}}, FACTS_TIMEOUT_S)
        contents: dict[str, str] = answer[host]
        return contents

    async def status(self) -> tuple[Answer, ...]:
        """Every mechanism's health as every host sees it; a host that does not answer is an answer too."""
        bundles = render(await self._context(strict=False))
        self._progress.phase("status", len(bundles))
        return await self._answers(bundles, self._progress.advance)

    async def settle(self) -> tuple[Answer, ...]:
        """Health once everything that was started has joined in: asked again until all is well, or `SETTLE_S` over.

        The gates of a build prove the services it touched; daemons that boot with their hosts report in later.
        """
        bundles = render(await self._context(strict=False))
        self._progress.phase("health", 1)
        deadline = time.monotonic() + SETTLE_S
        while True:
            answers = await self._answers(bundles, lambda: None)
            missing = [answer for answer in answers if not answer.ok]
            if not missing or time.monotonic() > deadline:
                return answers
            for answer in missing:
                self._progress.doing(answer.host, f"{answer.name}: {answer.text}")
            await asyncio.sleep(SETTLE_POLL_S)

    async def _answers(self, bundles: Bundles, answered: Callable[[], None]) -> tuple[Answer, ...]:
        async def one(host: str) -> list[Answer]:
            stages = bundles[host].stages
            checks = [(stage.service, check) for stage in stages for check in stage.checks]
            request = {"do": "status", "checks": [check_request(check) for _service, check in checks]}
            try:
                answer = await self._call(host, request, STATUS_TIMEOUT_S)
            except StockadeError as error:
                return [Answer(host, "machine", "reachable", ok=False, text=str(error).splitlines()[0])]
            finally:
                answered()
            return [
                Answer(host, service, check.name, ok=found["ok"], text=found["text"])
                for (service, check), found in zip(checks, answer["checks"], strict=True)
            ]

        answers = await asyncio.gather(*(one(host) for host in bundles))
        return with_vips([answer for group in answers for answer in group])

    async def _context(self, *, strict: bool = True) -> Context:
        absent: set[str] = set()

        async def one(host: Host) -> Hardware:
            request = {"do": "hardware", "guests": Role.COMPUTE in host.roles}
            try:
                return _hardware(await self._call(host.name, request, FACTS_TIMEOUT_S))
            except StockadeError:
                if strict:
                    raise
                absent.add(host.name)
                return Hardware()
            finally:
                self._progress.advance()

        hosts = self._cloud.hosts
        found = await asyncio.gather(*(one(host) for host in hosts))
        return Context(
            cloud=self._cloud,
            timers=timers(self._cloud.ha_profile),
            secrets=Secrets.load(state_dir(self._cloud.name) / "secrets.json"),
            hardware=dict(zip(names(hosts), found, strict=True)),
            services=SERVICES,
            absent=frozenset(absent),
        )

    async def _ask(self, requests: Mapping[str, dict[str, Any]], timeout_s: float) -> dict[str, Any]:
        async def one(host: str) -> Any:
            answer = await self._call(host, requests[host], timeout_s)
            self._progress.advance()
            return answer

        answers = await asyncio.gather(*(one(host) for host in requests))
        return dict(zip(requests, answers, strict=True))

    async def _call(self, host: str, request: dict[str, Any], timeout_s: float) -> Any:
        self._progress.doing(host, request["do"])
        try:
            return await call(self._machines.transport(self._cloud.host(host)), host, request, timeout_s=timeout_s)
        finally:
            self._progress.doing(host, "")


def _hardware(answer: dict[str, Any]) -> Hardware:
    return Hardware(**answer)
