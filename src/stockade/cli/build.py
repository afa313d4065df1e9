"""`plan`, `up`, `down`, `status`: parse, call, print."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import json
import time
from pathlib import Path

import click
from rich.markup import escape

from stockade.build.engine import Engine, Prepared
from stockade.build.model import Answer
from stockade.build.report import summary
from stockade.cli.common import EXIT_DEGRADED, cloud_argument, err, leave, out, reachable, read_cloud, run
from stockade.cli.progress import Screen
from stockade.cloud.model import Cloud
from stockade.cloud.paths import state_dir
from stockade.lock import FileLock
from stockade.machines.factory import machines_for


@click.command()
@cloud_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON array of changes.")
@click.option("--diff/--no-diff", default=True, help="Show what would change inside files (never secrets).")
def plan(file: Path | None, as_json: bool, diff: bool) -> None:  # noqa: FBT001 - click's flags
    """Show what `up` would change, without changing anything."""
    cloud = read_cloud(file)
    machines = reachable(cloud)

    async def work() -> tuple[Prepared, dict[str, dict[str, str]]]:
        with Screen(err) as screen:
            engine = Engine(cloud, machines, screen)
            prepared = await engine.prepare()
            present = {}
            for host, paths in _visible(prepared).items() if diff else ():
                present[host] = await engine.read(host, paths)
            return prepared, present

    prepared, present = run(machines, work)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(change) for change in prepared.plan.changes], indent=1))
        return
    for change in prepared.plan.changes:
        out.print(f"[bold]{change.host:<6}[/bold] {change.service:<16} {escape(change.sentence)}", markup=True)
        if change.kind == "file" and change.subject in present.get(change.host, {}):
            _print_diff(prepared, change.host, change.subject, present[change.host][change.subject])
    out.print(_count(len(prepared.plan.changes)))


def _visible(prepared: Prepared) -> dict[str, list[str]]:
    secret = {
        (bundle.host, file.path)
        for bundle in prepared.bundles.values()
        for stage in bundle.stages
        for file in stage.files
        if file.secret
    }
    wanted: dict[str, list[str]] = {}
    for change in prepared.plan.changes:
        if (
            change.kind == "file"
            and change.sentence.endswith("other content")
            and (change.host, change.subject) not in secret
        ):
            wanted.setdefault(change.host, []).append(change.subject)
    return wanted


def _print_diff(prepared: Prepared, host: str, path: str, present: str) -> None:
    files = [file for stage in prepared.bundles[host].stages for file in stage.files if file.path == path]
    lines = difflib.unified_diff(
        present.splitlines(), files[-1].content.splitlines(), "now", "after up", lineterm="", n=1
    )
    for line in lines:
        out.print(f"       {line}", markup=False)


def _count(changes: int) -> str:
    return "nothing to change" if not changes else f"{changes} change{'s' if changes > 1 else ''}"


@click.command()
@cloud_argument
def up(file: Path | None) -> None:
    """Build the cloud, or bring it back to what FILE says. Running it again changes nothing.

    Killed anywhere, the next run goes on from there.
    """
    cloud = read_cloud(file)
    started = time.monotonic()
    machines = machines_for(cloud)
    with _alone(cloud), Screen(err) as screen:

        async def machines_up() -> int:
            try:
                return await machines.up(screen)
            finally:
                await machines.close()

        asyncio.run(machines_up())
        machines.attach()
        engine = Engine(cloud, machines, screen)

        async def work() -> tuple[int, int, tuple[Answer, ...]]:
            prepared = await engine.prepare()
            applied = await engine.apply(prepared)
            answers = await engine.settle()
            return len(prepared.plan.changes), applied.restarts, answers

        changes, restarts, answers = run(machines, work)
    took = time.monotonic() - started
    wrong = [answer for answer in answers if not answer.ok]
    out.print(
        f"{_count(changes)}, {restarts} restarts, {took:.0f} s; the cloud is {'degraded' if wrong else 'healthy'}"
    )
    for answer in wrong:
        out.print(escape(f"  {answer.host}: {answer.name}: {answer.text}"))
    if wrong:
        out.print("`stockade status` says when that has changed; `stockade up` tries again")
        leave(EXIT_DEGRADED)


def _alone(cloud: Cloud) -> FileLock:
    """Two `up` could restart two members of one quorum; a `down` beside one would take its machines away."""
    return FileLock(state_dir(cloud.name) / "up.lock", timeout_s=LOCK_TIMEOUT_S)


@click.command()
@cloud_argument
@click.option("--purge", is_flag=True, help="Remove disks, images and state too, and undo all that was changed here.")
def down(file: Path | None, purge: bool) -> None:  # noqa: FBT001
    """Take the lab down. Its disks stay, unless --purge; servers are never touched."""
    cloud = read_cloud(file)
    machines = machines_for(cloud)
    with _alone(cloud), Screen(err) as screen:
        asyncio.run(machines.down(purge=purge, progress=screen))


@click.command()
@cloud_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--watch", is_flag=True, help="Refresh until interrupted.")
def status(file: Path | None, as_json: bool, watch: bool) -> None:  # noqa: FBT001
    """Say on one screen which mechanisms work, who leads, and what is degraded. Exit code 3 when degraded."""
    cloud = read_cloud(file)
    machines = reachable(cloud)
    while True:

        async def work() -> tuple[bool, str, str]:
            with Screen(err) as screen:
                answers = await Engine(cloud, machines, screen).status()
            return summary(answers)

        healthy, text, data = run(machines, work)
        click.echo(data if as_json else text)
        if not watch:
            break
        time.sleep(WATCH_S)
    if not healthy:
        leave(EXIT_DEGRADED)


WATCH_S = 3
LOCK_TIMEOUT_S = 5
"""Enough for a killed run's lock to go; another run lasts minutes, so waiting for it would only puzzle."""
