"""`exec`, `openstack`, `env`, `power`, `demo`: using a cloud that stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import click

from stockade.build.clients import write_clouds_yaml
from stockade.cli.common import err, leave, out, reachable, read_cloud, run
from stockade.cli.progress import Screen
from stockade.cloud.paths import state_dir
from stockade.demo.story import tell
from stockade.errors import UsageError
from stockade.guest.fetch import fetch
from stockade.guest.image import build, find_sources
from stockade.machines.base import PowerState

PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}
EXEC_TIMEOUT_S = 24 * 3600
"""`exec` lasts as long as its command; a day is a bound all the same."""


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(host: str, command: tuple[str, ...]) -> None:
    """Run COMMAND on HOST as root: `stockade exec ctl1 -- journalctl -u haproxy -n 20`."""
    cloud = read_cloud(None)
    if host not in {each.name for each in cloud.hosts}:
        raise UsageError(f"there is no host {host}; the cloud has {', '.join(each.name for each in cloud.hosts)}")
    machines = reachable(cloud)
    done = run(machines, lambda: machines.transport(cloud.host(host)).run(command, timeout_s=EXEC_TIMEOUT_S))
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    leave(done.returncode)


@click.command(context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def openstack(arguments: tuple[str, ...]) -> None:
    """The ordinary OpenStack client, as admin: `stockade openstack server list`."""
    cloud = read_cloud(None)
    machines = reachable(cloud)
    del machines  # this process stays where it can reach the cloud
    client = Path(sys.executable).with_name("openstack")
    found = str(client) if client.exists() else shutil.which("openstack")
    if not found:
        raise UsageError("the openstack client is not installed here: pip install python-openstackclient")
    path = write_clouds_yaml(cloud)
    os.execve(found, [found, *arguments], {**os.environ, "OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": cloud.name})


@click.command()
def env() -> None:
    """Shell variables for any OpenStack client: `eval "$(stockade env)"`."""
    cloud = read_cloud(None)
    path = write_clouds_yaml(cloud)
    for name, value in {"OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": cloud.name}.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command()
@click.argument("host")
@click.argument("what", type=click.Choice(["on", "off", "status"]))
def power(host: str, what: str) -> None:
    """Switch HOST's power through its BMC, or read it. `off` is a power cut: nothing is shut down first."""
    cloud = read_cloud(None)
    if host not in {each.name for each in cloud.hosts}:
        raise UsageError(f"there is no host {host}; the cloud has {', '.join(each.name for each in cloud.hosts)}")
    machines = reachable(cloud)

    async def work() -> PowerState:
        bmc = machines.bmc(cloud.host(host))
        if what != "status":
            await bmc.set_power(PowerState(what))
        return await bmc.power_state()

    out.print(f"{host} is {run(machines, work)}")


@click.command()
def demo() -> None:
    """Use the cloud as a user would: image, network, router, a pet VM with a volume and a floating IP."""
    cloud = read_cloud(None)
    machines = reachable(cloud)
    first = cloud.controllers[0]
    cache = state_dir(cloud.name) / "guest"
    with Screen(err) as screen:
        if not (cache / "sources").exists():
            run(machines, lambda: fetch(machines.transport(first), first.name, cache / "sources"))
        sources = find_sources(cache / "sources")
        guest = build(sources.kernel, sources.modules_dir, sources.busybox, cache)
        told = tell(cloud, guest, screen, out.print)
    out.print(f"the VM runs on {told.host} and answers at http://{told.address}/ (from the cloud's external network)")
