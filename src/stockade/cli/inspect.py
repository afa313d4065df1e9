"""`check` and `preflight`: looking without changing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape

from stockade.build.preflight import Finding, preflight_cloud
from stockade.cli.common import EXIT_FAILED, cloud_argument, err, leave, out, reachable, read_cloud, run
from stockade.cli.progress import Screen
from stockade.cloud.check import check as check_cloud


@click.command()
@cloud_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON array of findings.")
def check(file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Check FILE without touching any machine: errors, single points of failure, quorum arithmetic."""
    findings = check_cloud(read_cloud(file))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            out.print(
                f"[bold]{finding.severity}[/bold]: {escape(finding.sentence)}"
                + (f"\n  do: {escape(finding.fix)}" if finding.fix else "")
            )
        errors = sum(finding.severity == "error" for finding in findings)
        out.print(f"{errors} errors among {len(findings)} findings" + ("" if errors else "; next: stockade preflight"))
    if any(finding.severity == "error" for finding in findings):
        leave(EXIT_FAILED)


@click.command()
@cloud_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON array of findings.")
def preflight(file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Look at the real machines and change nothing: SSH, Debian, NICs, disks, clock, BMCs, free VIPs."""
    cloud = read_cloud(file)
    machines = reachable(cloud)

    async def work() -> tuple[Finding, ...]:
        with Screen(err) as screen:
            return await preflight_cloud(cloud, machines, screen)

    findings = run(machines, work)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "[bold red]FAIL[/bold red]"
            out.print(
                f"{mark} {finding.host:<6} {escape(finding.sentence)}"
                + ("" if finding.ok else f"\n       do: {escape(finding.fix)}")
            )
    if not all(finding.ok for finding in findings):
        leave(EXIT_FAILED)
