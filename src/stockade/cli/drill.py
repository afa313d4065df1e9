"""`drill` and `report`: faults under load, and what they cost."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from stockade.cli.common import EXIT_FAILED, err, leave, out, reachable, read_cloud, run
from stockade.cli.live import DrillView
from stockade.cli.progress import Screen
from stockade.cloud.model import Cloud, MachineKind
from stockade.drill import catalogue
from stockade.drill.campaign import Campaign, drills_root, judged, load, seed_of
from stockade.drill.faults.undo import HealPlan, perform
from stockade.drill.judge import judge, to_json
from stockade.drill.report import as_json, page
from stockade.drill.report.model import Campaign as Reported
from stockade.drill.report.model import Trial as ReportedTrial
from stockade.drill.runner import Trial
from stockade.drill.scenario import Scenario, TargetRole, parse
from stockade.drill.verdict import Judgement, Verdict
from stockade.errors import UsageError
from stockade.files import write_whole
from stockade.lock import FileLock
from stockade.machines.base import Machines

LOCK_TIMEOUT_S = 5
"""Enough for the lock of a killed drill to go; a running one lasts minutes."""
COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}
into_option = click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="Keep the histories here, not with the cloud."
)


@click.group()
def drill() -> None:
    """Break the cloud under load, and judge what users saw.

    A drill really cuts power and really kills processes: run it on a cloud that you would let fail. It starts only on a
    healthy cloud, writes down how to heal before it breaks anything, and heals at its end; if it is killed,
    `stockade drill heal` does that. The cloud is $STOCKADE_CLOUD, ./cloud.yaml, or the lab.
    """


@drill.command("list")
def list_() -> None:
    """What can be drilled, and how often each is meant to be tried."""
    table = Table("drill", "trials", "what", box=None, pad_edge=False)
    for scenario in catalogue.shipped().values():
        later = " [dim](needs the guard)[/dim]" if scenario.needs_guard else ""
        table.add_row(scenario.name, str(scenario.trials), escape(scenario.title) + later)
    out.print(table)


@drill.command("run")
@click.argument("name")
@click.option("--trials", type=click.IntRange(1, 1000), help="How many in all; those on file count. Default: one more.")
@click.option("--seed", type=click.IntRange(0), help="Draw arrivals and instants from this; default: at random.")
@click.option("--yes", is_flag=True, help="Break servers without asking.")
@into_option
def run_(name: str, trials: int | None, seed: int | None, yes: bool, into: Path | None) -> None:  # noqa: FBT001
    """Run trials of the drill NAME, or of a scenario file, until there are enough.

    Each trial is kept when it ends: run the same command again to go on. Exit code 0 if every trial passed, 1 if one
    failed or could not be judged.
    """
    scenario = catalogue.find(name)
    cloud = read_cloud(None)
    if scenario.target is TargetRole.GUARD_LEADER:
        raise UsageError(f"{name} hits the guard's leader, and this version has no guard yet")
    out.print(f"cloud [bold]{escape(cloud.name)}[/bold], {escape(str(cloud.source or 'the packaged lab'))}")
    if cloud.machines is MachineKind.SSH and not yes:
        click.confirm("These are servers, and the drill breaks them for real. Go on?", abort=True)
    campaign = Campaign(scenario, into or drills_root(cloud))
    base = random.SystemRandom().randrange(1 << 20) if seed is None else seed
    missing = campaign.missing(trials or len(campaign.finished()) + 1)
    with _alone(cloud), Screen(err) as screen:
        HealPlan(cloud).refuse_if_due()
        for place, number in enumerate(missing, 1):
            screen.note(
                f"{scenario.name}: trial {number}, {place} of {len(missing)} to do, seed {seed_of(base, number)}"
            )
            _trial(cloud, reachable(cloud), campaign, number, seed_of(base, number), screen)
    worst = _tell(campaign)
    out.print("the whole of it: stockade report")
    leave(0 if worst is Verdict.PASS else EXIT_FAILED)


def _trial(cloud: Cloud, machines: Machines, campaign: Campaign, number: int, seed: int, screen: Screen) -> None:
    view = DrillView(screen)
    trial = Trial(cloud, machines, campaign.scenario, seed, number, screen, view.see)
    path = run(machines, lambda: _stoppable(trial.run(campaign.make_room(number))))
    judgement = judge(load(path))
    screen.note(_line(judgement))


async def _stoppable(work: Coroutine[Any, Any, Path]) -> Path:
    """Let Ctrl-C, SIGTERM and a lost terminal cancel the trial, which then heals; however often they come."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await work


def _alone(cloud: Cloud) -> FileLock:
    """One drill or heal at a time: each would take the other's faults and records for its own."""
    return FileLock(drills_root(cloud) / "lock", timeout_s=LOCK_TIMEOUT_S)


def _tell(campaign: Campaign) -> Verdict:
    """Print every trial on file; the worst verdict."""
    worst = Verdict.PASS
    for _path, _history, judgement in judged(campaign.finished(), lambda _name: None):
        _print(judgement)
        worst = max(worst, judgement.verdict, key=list(Verdict).index)
    return worst


def _print(judgement: Judgement) -> None:
    colour = COLOURS[judgement.verdict]
    out.print(f"[bold {colour}]{judgement.verdict}[/bold {colour}] {escape(_line(judgement))}")
    for finding in judgement.findings:
        if finding.verdict is not Verdict.PASS:
            out.print(f"  {finding.verdict:<8}{escape(finding.id)}: {escape(finding.sentence)}")


def _line(judgement: Judgement) -> str:
    """A trial in one line: the longest error window of each side, and where it was."""
    parts = [f"{judgement.scenario} trial {judgement.trial} on {', '.join(judgement.target) or 'nobody'}:"]
    for side, of in (("out", "out"), ("back", "back")):
        windows = {each.stream: getattr(each, of) for each in judgement.streams if getattr(each, of) is not None}
        open_ended = [stream for stream, window in windows.items() if window.upper_ns is None]
        if open_ended:
            parts.append(f"{side} not healed: {', '.join(open_ended)};")
        elif windows:
            stream = max(windows, key=lambda name: windows[name].upper_ns)
            parts.append(f"{side} at most {windows[stream].upper_ns / 1e9:.1f} s ({stream});")
        else:
            parts.append(f"{side} no failed operation;")
    return " ".join(parts).rstrip(";")


@drill.command()
def heal() -> None:
    """Take back what a drill that was broken off has left. Does no harm where there is nothing to heal."""
    cloud = read_cloud(None)
    with _alone(cloud):
        plan = HealPlan(cloud)
        if steps := plan.read():
            machines = reachable(cloud)
            with Screen(err) as screen:
                screen.phase("heal", len(steps))
                for step in steps:
                    screen.note(str(step))
                run(machines, lambda: perform(steps, cloud, machines))
            plan.done()
            out.print("healed; `stockade status` shows how the cloud is")
        else:
            out.print("nothing to heal: no drill was broken off in mid fault")


@drill.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json_", is_flag=True, help="Everything, as JSON; the same bytes each time.")
def check(file: Path, *, as_json_: bool) -> None:
    """Judge the history in FILE again, offline: nothing but FILE is looked at."""
    judgement = judge(load(file))
    if as_json_:
        click.echo(to_json(judgement), nl=False)
    else:
        _print(judgement)
    leave(0 if judgement.verdict is Verdict.PASS else EXIT_FAILED)


@click.command()
@click.option("--open", "show", is_flag=True, help="Open it in a browser.")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="Where the histories are, and the report goes."
)
def report(*, show: bool, into: Path | None) -> None:
    """Write the report of all drills on file: one HTML page that opens anywhere, and the same as JSON."""
    root = into or drills_root(read_cloud(None))
    directories = sorted({path.parent for path in root.glob("*/trial-*.jsonl.gz")})
    if not directories:
        raise UsageError(f"no drill has ended yet below {root}\n  next: stockade drill run null")
    with Screen(err) as screen:
        screen.phase("histories", sum(1 for each in directories for _ in each.glob("trial-*.jsonl.gz")))
        campaigns = [_reported(directory, screen) for directory in directories]
        html, json = root / "report.html", root / "report.json"
        write_whole(html, page.page(campaigns))
        write_whole(json, as_json.as_json(campaigns))
    out.print(f"{html}\n{json}")
    if show:
        click.launch(str(html))


def _reported(directory: Path, screen: Screen) -> Reported:
    def say(name: str) -> None:
        screen.doing(directory.name, name)
        screen.advance()

    found = judged(tuple(sorted(directory.glob("trial-*.jsonl.gz"))), say)
    screen.doing(directory.name, "")
    scenario: Scenario = parse(dict(found[0][1].header["scenario"]), str(directory))
    trials = tuple(ReportedTrial(history, judgement, path.name) for path, history, judgement in found)
    return Reported(scenario, trials)
