"""Drills on the built cloud: the instrument proves itself, then the controller that does everything loses power."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_handle import COMMAND, Cloud, Ran, poll
from cloud_measure import record

from stockade.drill.catalogue import find
from stockade.drill.faults.undo import HealPlan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

CONTROLS = ("null", "probes-dropped-1", "probes-dropped-5", "probes-dropped-30", "acknowledged-lost")
FROZEN = "memcached"


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this run's histories go."""
    return tmp_path_factory.mktemp("drills")


@pytest.fixture(scope="module")
def told(built: Cloud) -> Cloud:
    """The cloud with the demo's VM on it."""
    built.ok("demo", timeout_s=600)
    return built


@pytest.fixture
def demo(cloud: Cloud, told: Cloud) -> Cloud:
    """The same, healthy."""
    assert cloud is told
    return cloud


TRIALS = 2
"""A trial that is UNKNOWN says nothing, so another one is run, at most this many in all."""


def drill(cloud: Cloud, name: str, into: Path) -> tuple[Ran, dict[str, object]]:
    """One trial that says something, and what it is judged to be when its history is read again."""
    for number in range(1, TRIALS + 1):
        ran = cloud.run("drill", "run", name, "--trials", str(number), "--into", str(into), timeout_s=800)
        (history,) = into.glob(f"{name}-*/trial-{number:03}.jsonl.gz")
        checked = [cloud.run("drill", "check", "--json", str(history)) for _ in range(2)]
        assert checked[0].stdout == checked[1].stdout, str(ran)
        judgement: dict[str, object] = json.loads(checked[0].stdout)
        if judgement["verdict"] != "UNKNOWN":
            break
        record("drill that says nothing", drill=name, said=ran.stdout)
    return ran, judgement


@pytest.mark.parametrize("name", CONTROLS)
def test_the_instrument_proves_itself(demo: Cloud, drills: Path, name: str) -> None:
    ran, judgement = drill(demo, name, drills)
    findings = {each["id"]: each["verdict"] for each in judgement["findings"]}  # type: ignore[attr-defined]
    assert judgement["verdict"] == "PASS", str(ran)
    assert findings["V1"] == "PASS", findings
    planted = find(name).expect.violates
    assert {each for each, verdict in findings.items() if verdict == "FAIL"} == {planted} - {""}, findings
    record("control", drill=name, seconds=ran.seconds, verdict=judgement["verdict"])


def test_the_controller_that_does_everything_loses_power(demo: Cloud, drills: Path) -> None:
    ran, judgement = drill(demo, "controller-power-cut", drills)
    windows = {each["stream"]: each["out"] for each in judgement["streams"]}  # type: ignore[attr-defined]
    record("drill", drill="controller-power-cut", seconds=ran.seconds, verdict=judgement["verdict"], said=ran.stdout)
    findings = {each["id"]: each for each in judgement["findings"]}  # type: ignore[attr-defined]
    # How long users waited is what campaigns are for: one trial on a busy computer is no statistics. That nothing was
    # lost, that everyone was served again and that the cloud is complete again must hold each time.
    for sure in ("V1", "S1", "S2", "S3", "S5", "S6", "L2"):
        assert findings[sure]["verdict"] == "PASS", findings[sure]
    assert set(windows) >= {"token", "read-compute-external", "set-add", "udp", "tcp", "writer"}
    ends = [each[side] for each in judgement["streams"] for side in ("out", "back")]  # type: ignore[attr-defined]
    assert all(each is None or each["upper_s"] is not None for each in ends), judgement["streams"]
    page = drills / "report.html"
    demo.ok("report", "--into", str(drills))
    assert 10_000 < page.stat().st_size < 5_000_000
    assert json.loads((drills / "report.json").read_text())


@pytest.fixture
def broken_off(demo: Cloud, drills: Path) -> Iterator[str]:
    """A drill killed with SIGKILL while its fault is in force; the host that it hit."""
    process = subprocess.Popen(
        [COMMAND, "drill", "run", f"freeze-{FROZEN}", "--into", str(drills)],
        env=demo.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    target = ""
    for line in process.stderr:
        if "target:" in line:
            target = line.split("target:")[1].strip()
        if "confirmed" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stderr.close()
    yield target
    demo.run("drill", "heal")


def states(cloud: Cloud, host: str) -> set[str]:
    """State of each process of the frozen unit."""
    pids = f"$(cat /sys/fs/cgroup$(systemctl show -P ControlGroup {FROZEN})/cgroup.procs)"
    return set(cloud.out(host, f"for pid in {pids}; do ps -o s= -p $pid; done").split())


def load_processes() -> str:
    """Load processes on this computer."""
    found = subprocess.run(["pgrep", "-f", "stockade.drill.load"], capture_output=True, text=True, check=False)
    return found.stdout


def test_a_drill_that_was_killed_is_healed(broken_off: str, demo: Cloud, drills: Path) -> None:
    assert broken_off in demo.controllers
    assert states(demo, broken_off) == {"T"}
    refused = demo.run("drill", "run", "null", "--into", str(drills))
    assert (refused.returncode, "stockade drill heal" in refused.stderr) == (2, True), str(refused)
    demo.ok("drill", "heal", timeout_s=300)
    assert "T" not in states(demo, broken_off)
    assert not HealPlan(demo.model).path.exists()
    assert "nothing to heal" in demo.ok("drill", "heal")
    poll("no load process", lambda: not load_processes(), timeout_s=30)
