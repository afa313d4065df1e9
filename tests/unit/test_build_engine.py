"""The engine around the plan: what `up` waits for at its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from build_world import World, context

from stockade.build import engine
from stockade.build.engine import Engine
from stockade.cloud import paths
from stockade.machines.fake import FakeProgress

CHECK = "nova services"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A cloud that was built."""
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    monkeypatch.setattr(engine, "SETTLE_POLL_S", 0.001)
    (tmp_path / "lab").mkdir()
    world = World(context("lab"))
    world.up()
    return world


class Watching(FakeProgress):
    """Mends the world once it was shown what is missing `rounds` times."""

    def __init__(self, world: World, rounds: int) -> None:
        super().__init__()
        self.world, self.rounds = world, rounds

    def doing(self, host: str, what: str) -> None:
        """Count what is shown of the check."""
        super().doing(host, what)
        if what.startswith(CHECK):
            self.rounds -= 1
            if self.rounds == 0:
                for each in self.world.hosts.values():
                    each.broken.discard(CHECK)


def test_up_waits_for_what_reports_in_late(world: World) -> None:
    for host in world.hosts.values():
        host.broken.add(CHECK)
    progress = Watching(world, rounds=3)
    answers = asyncio.run(Engine(world.cloud, world.machines, progress).settle())
    assert progress.rounds == 0
    assert all(answer.ok for answer in answers)


def test_it_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SETTLE_S", 0.05)
    for host in world.hosts.values():
        host.broken.add(CHECK)
    answers = asyncio.run(Engine(world.cloud, world.machines, FakeProgress()).settle())
    assert {answer.name for answer in answers if not answer.ok} == {CHECK}
