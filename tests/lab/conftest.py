"""Two labs: a small one for the tests of the lab itself, gone afterwards, and the packaged lab cloud, built."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Generator, Iterator
from typing import TypeVar

import cloud_measure
import pytest
import sample
from cloud_handle import Cloud as BuiltCloud
from hostview import HostView

from stockade.cloud.load import lab_example
from stockade.cloud.model import Cloud, Host, Plane
from stockade.machines.base import Completed
from stockade.machines.fake import FakeProgress
from stockade.machines.lab import image
from stockade.machines.lab.faults import Faults
from stockade.machines.lab.lab import LabMachines
from stockade.machines.lab.machine import Machine
from stockade.machines.lab.spec import load_all

T = TypeVar("T")

NAME, PREFIX = "labtest", "10.78"
HOSTS = {"one": 11, "two": 31}
WATCHDOG_S = 2.0


class Lab:
    """The lab under test, driven from synchronous tests."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.before = HostView.take(NAME)
        self.cloud = sample.cloud(NAME, PREFIX, HOSTS)
        self.machines = self.fresh()
        self.faults = Faults(NAME)
        self.progress = FakeProgress()

    def fresh(self, cloud: Cloud | None = None) -> LabMachines:
        """Another view of the same lab, as another process would have."""
        return LabMachines(cloud or self.cloud, disk_size="4G", watchdog_s=WATCHDOG_S)

    def do(self, work: Awaitable[T]) -> T:
        """Run `work` to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 120))

    def up(self, cloud: Cloud | None = None) -> int:
        """Bring the lab up; how many machines were changed."""
        machines = self.fresh(cloud) if cloud else self.machines
        try:
            return self.do(machines.up(self.progress))
        finally:
            if cloud:
                self.do(machines.close())

    def host(self, name: str) -> Host:
        """The host called `name`."""
        return self.cloud.host(name)

    def machine(self, name: str) -> Machine:
        """The hardware of `name`."""
        return Machine(load_all(NAME)[name])

    def sh(self, name: str, script: str, *, stdin: str = "", timeout_s: float = 30.0) -> Completed:
        """Run a shell script on `name`."""
        return self.do(
            self.machines.transport(self.host(name)).run(["sh", "-c", script], stdin=stdin, timeout_s=timeout_s)
        )

    def out(self, name: str, script: str) -> str:
        """Output of a shell script on `name`, which must succeed."""
        done = self.sh(name, script)
        assert done.ok, done
        return done.stdout.strip()

    def boot_id(self, name: str) -> str:
        """A value that changes with each boot."""
        return self.out(name, "cat /proc/sys/kernel/random/boot_id")

    def redfish(self, name: str, action: str) -> Completed:
        """Run Debian's own Redfish fence agent for the BMC of `name` on the other machine."""
        host = self.host(name)
        assert host.bmc is not None
        secret = f"username=admin\npassword={host.bmc.password_file.read_text().strip()}\n"
        where = f"ip={host.addresses[Plane.OUT_OF_BAND]}\nssl_insecure=1\naction={action}\n"
        bounds = "login_timeout=3\nshell_timeout=3\npower_timeout=4\n"
        return self.sh("one", "timeout 8 fence_redfish", stdin=secret + where + bounds, timeout_s=60)

    def ping(self, source: str, target: str, plane: Plane) -> bool:
        """True if `target` answers `source` on `plane`."""
        address = self.host(target).addresses[plane]
        return self.sh(source, f"ping -n -q -c 3 -i 0.2 -W 1 {address}").ok

    def close(self) -> None:
        """Take the lab away, but not the image that others may be using."""
        keep, image.discard_unused = image.discard_unused, lambda: None
        try:
            self.do(self.machines.close())
            self.do(self.machines.down(purge=True, progress=self.progress))
        finally:
            image.discard_unused = keep
            self.loop.close()


@pytest.fixture(scope="session")
def small_lab() -> Iterator[Lab]:
    """The running lab; the whole session shares it."""
    if os.geteuid() != 0:
        pytest.skip("lab machines need root")
    lab = Lab()
    lab.up()
    yield lab
    lab.close()
    left = HostView.take(NAME).added_since(lab.before)
    assert not left, f"left behind by `down --purge`: {left}"


@pytest.fixture
def lab(small_lab: Lab) -> Iterator[Lab]:
    """The running lab, healthy before and after each test."""
    small_lab.up()
    yield small_lab
    small_lab.faults.heal()


LOOKING = frozenset(f"test_cloud_{name}.py" for name in ("build", "config", "use", "ssh"))
"""Tests that leave the cloud as healthy as they find it, unless they fail."""
CLOUD_TESTS = ("build", "config", "use", "ssh", "drill", "loss", "drift", "kill", "change")
"""The cloud is built, looked at, used, and then broken: in this order, after the tests of the lab machines."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files of the cloud's tests into their order; what is not about the cloud goes first."""
    place = {f"test_cloud_{name}.py": number for number, name in enumerate(CLOUD_TESTS, 1)}
    items.sort(key=lambda item: place.get(item.path.name, 0))
    for item in items:
        if item.path.name in place:
            # The SDK warns of its own future, however it is used.
            item.add_marker(pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::openstack.warnings.OpenStackDeprecationWarning"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    if cloud_measure.TAKEN:
        terminalreporter.section("measured")
        for line in cloud_measure.TAKEN:
            terminalreporter.write_line(cloud_measure.sentence(line))


@pytest.fixture(scope="session")
def built() -> Iterator[BuiltCloud]:
    """The packaged lab cloud as `up` leaves it; one that stands is used. STOCKADE_KEEP=1 leaves it standing."""
    handle = BuiltCloud(lab_example())
    handle.was_up = handle.run("status", "--json").returncode in (0, 3)
    handle.first_up = handle.up()
    cloud_measure.record(
        "up, first", seconds=handle.first_up.seconds, changes=handle.first_up.changes, stood_before=handle.was_up
    )
    yield handle
    handle.close()
    if os.environ.get("STOCKADE_KEEP") != "1":
        handle.ok("down", timeout_s=300)


_doubtful: list[str] = []
"""Tests that may have left the cloud otherwise than healthy."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember what may have broken the cloud: a status before each test that only looks would cost minutes."""
    report = yield
    changes = item.path.name.startswith("test_cloud_") and item.path.name not in LOOKING
    if report.failed or (report.when == "call" and changes):
        _doubtful.append(item.nodeid)
    return report


@pytest.fixture
def cloud(built: BuiltCloud) -> BuiltCloud:
    """The cloud, healthy, so that one test's failure is not the next one's. (`up` has just ended so.)"""
    if _doubtful:
        built.heal()
        _doubtful.clear()
    return built
