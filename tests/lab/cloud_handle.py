"""A built cloud as the tests use it: the command line, the hosts' shells, and a user's view over the external VIP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from cloud_measure import record

from stockade.build.engine import Engine, Prepared
from stockade.cloud.load import load
from stockade.cloud.model import Host, Role
from stockade.errors import HostError
from stockade.machines.base import Completed
from stockade.machines.factory import machines_for
from stockade.machines.fake import FakeProgress

T = TypeVar("T")
COMMAND = str(Path(sys.executable).with_name("stockade"))
UP_TIMEOUT_S = 1500
"""A build from nothing, golden image included, on a slow line."""
HEALS_S = 120
"""What an earlier test broke has this long to heal by itself; after that `up` mends it, and the summary says so."""
POLL_S = 1.0
_SUMMARY = re.compile(r"(nothing to change|(\d+) changes?), (\d+) restarts, (\d+) s; the cloud is (\w+)")
Change = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """A command of ours that has ended."""

    arguments: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def __str__(self) -> str:
        tail = "\n".join((self.stdout + self.stderr).splitlines()[-40:])
        return f"stockade {' '.join(self.arguments)}: {self.returncode} after {self.seconds:.0f} s\n{tail}"


@dataclass(frozen=True)
class Up:
    """What `up` said of itself."""

    ran: Ran
    changes: int
    restarts: int
    healthy: bool

    @property
    def seconds(self) -> float:
        """From the command's start to its end."""
        return self.ran.seconds


def summary(ran: Ran) -> Up:
    """What `up` says of itself in its last line."""
    said = _SUMMARY.search(ran.stdout)
    assert said, str(ran)
    return Up(ran, int(said[2] or 0), int(said[3]), said[5] == "healthy")


class Cloud:
    """One cloud file and the cloud that stands for it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.model = load(file)
        self.loop = asyncio.new_event_loop()
        self.machines = machines_for(self.model)
        self.first_up: Up | None = None
        self.was_up = False
        """Whether it stood before the tests began."""

    @property
    def controllers(self) -> tuple[str, ...]:
        """Names of the controllers."""
        return tuple(host.name for host in self.model.controllers)

    @property
    def computes(self) -> tuple[str, ...]:
        """Names of the computes."""
        return tuple(host.name for host in self.model.hosts if Role.COMPUTE in host.roles)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of all hosts."""
        return tuple(host.name for host in self.model.hosts)

    # The command line, as a user has it.

    def environment(self, file: Path | None = None) -> dict[str, str]:
        """The environment in which commands mean this cloud, or the one of `file`."""
        return {**os.environ, "STOCKADE_CLOUD": str(file or self.file), "COLUMNS": "200"}

    def run(self, *arguments: str, file: Path | None = None, timeout_s: float = 120) -> Ran:
        """`stockade ARGUMENTS`; a non-zero exit code is not an error."""
        started = time.monotonic()
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment(file),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(arguments, done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def ok(self, *arguments: str, file: Path | None = None, timeout_s: float = 120) -> str:
        """Output of `stockade ARGUMENTS`, which must return 0."""
        ran = self.run(*arguments, file=file, timeout_s=timeout_s)
        assert ran.returncode == 0, str(ran)
        return ran.stdout

    def up(self, file: Path | None = None) -> Up:
        """`stockade up`, which must end with a healthy cloud."""
        ran = self.run("up", file=file, timeout_s=UP_TIMEOUT_S)
        assert ran.returncode == 0, str(ran)
        return summary(ran)

    def plan(self, file: Path | None = None) -> list[Change]:
        """What `stockade plan --json` lists."""
        changes: list[Change] = json.loads(self.ok("plan", "--json", "--no-diff", file=file, timeout_s=300))
        return changes

    def unhealthy(self) -> list[str]:
        """What `stockade status --json` finds wrong, in words; empty when healthy."""
        ran = self.run("status", "--json", timeout_s=180)
        if not ran.stdout.startswith("{"):
            return [str(ran)]
        answers = json.loads(ran.stdout)["answers"]
        wrong = [f"{each['host']} {each['service']}: {each['text']}" for each in answers if not each["ok"]]
        assert (ran.returncode == 0) == (not wrong), str(ran)
        return wrong

    def wait_healthy(self, timeout_s: float) -> float:
        """Seconds until `status` is healthy. Fails with what was wrong at the end."""
        started = time.monotonic()
        while wrong := self.unhealthy():
            if time.monotonic() - started > timeout_s:
                raise AssertionError(f"not healthy after {timeout_s:.0f} s: {wrong}")
            time.sleep(POLL_S)
        return time.monotonic() - started

    def heal(self) -> None:
        """Make sure that the cloud is healthy before a test: it waits, and only then uses `up`."""
        try:
            self.wait_healthy(HEALS_S)
        except AssertionError as error:
            record("mended between tests", why=str(error))
            self.up()

    # The hosts' shells.

    def do(self, work: Awaitable[T], timeout_s: float = 300) -> T:
        """Run `work` to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(work, timeout_s))

    def sh(self, host: str, script: str, *, stdin: str = "", timeout_s: float = 60) -> Completed:
        """Run a shell script on `host`; once more if the session turned out to be from before a power cut."""
        argv = ["bash", "-c", script]
        transport = self.machines.transport(self.host(host))
        try:
            return self.do(transport.run(argv, stdin=stdin, timeout_s=timeout_s))
        except HostError:
            self.do(transport.close())
            return self.do(transport.run(argv, stdin=stdin, timeout_s=timeout_s))

    def out(self, host: str, script: str, *, stdin: str = "", timeout_s: float = 60) -> str:
        """Output of a shell script on `host`, which must succeed."""
        done = self.sh(host, script, stdin=stdin, timeout_s=timeout_s)
        assert done.ok, f"{host}: {script}: {done}"
        return done.stdout.strip()

    def everywhere(
        self, argv: list[str], *, hosts: Iterable[str] = (), stdin: str = "", timeout_s: float = 120
    ) -> dict[str, str]:
        """Output of a command on each host, side by side; it must succeed on all."""
        names = tuple(hosts) or self.hosts

        async def work() -> list[Completed]:
            each = (self.machines.transport(self.host(name)) for name in names)
            return await asyncio.gather(*(one.run(argv, stdin=stdin, timeout_s=timeout_s) for one in each))

        found = dict(zip(names, self.do(work(), timeout_s + 30), strict=True))
        assert all(done.ok for done in found.values()), found
        return {name: done.stdout for name, done in found.items()}

    def python(self, program: str, data: Any, *, hosts: Iterable[str] = (), timeout_s: float = 180) -> dict[str, Any]:
        """What `program` prints as JSON on each host; `data` reaches it on standard input, never as an argument."""
        answers = self.everywhere(["python3", "-c", program], hosts=hosts, stdin=json.dumps(data), timeout_s=timeout_s)
        return {host: json.loads(text) for host, text in answers.items()}

    def host(self, name: str) -> Host:
        """The host called `name`."""
        return self.model.host(name)

    def forget(self, host: str) -> None:
        """Give up the session with a host whose power was cut."""
        self.do(self.machines.transport(self.host(host)).close())

    def prepare(self) -> Prepared:
        """Bundles, facts and plan, as `up` sees them."""
        return self.do(Engine(self.model, self.machines, FakeProgress()).prepare())

    def vip_holder(self) -> str:
        """The controller that has the internal VIP."""
        vip = self.model.internal_vip
        found = self.everywhere(["ip", "-4", "-oneline", "address"], hosts=self.controllers)
        (holder,) = [host for host, text in found.items() if f" {vip}/" in text]
        return holder

    # A user, on the external network.

    def user(self, work: Callable[[], T], timeout_s: float = 120) -> T:
        """Result of `work()`, called in a thread that can reach the external VIP."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                self.machines.attach()
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=inside, daemon=True)
        thread.start()
        thread.join(timeout_s)
        if errors:
            raise errors[0]
        assert results, f"not done after {timeout_s:.0f} s"
        return results[0]

    def close(self) -> None:
        """End all sessions."""
        self.do(self.machines.close())
        self.loop.close()


def poll(
    what: str, question: Callable[[], T | Literal[False] | None], *, timeout_s: float, every_s: float = POLL_S
) -> T:
    """The first true answer of `question`, which may raise meanwhile. Fails with its last word after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    last: Any = None
    while time.monotonic() < deadline:
        try:
            if last := question():
                return last
        except Exception as error:
            last = error
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s: {last!r}")
