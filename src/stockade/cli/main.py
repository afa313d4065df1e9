"""The `stockade` command."""

from __future__ import annotations

import sys

import click

from stockade.cli import build, drill, inspect, use
from stockade.cli.common import fail


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stockade")
def cli() -> None:
    """Build a highly available OpenStack from one file, and use it.

    FILE defaults to $STOCKADE_CLOUD, then ./cloud.yaml, then the packaged lab: real Debian machines inside this
    computer. Exit codes: 0 done and healthy, 1 failed, 2 wrong use, 3 degraded.
    """


for command in (
    inspect.check,
    build.plan,
    build.up,
    build.down,
    build.status,
    use.execute,
    use.openstack,
    use.env,
    use.power,
    inspect.preflight,
    use.demo,
    drill.drill,
    drill.report,
):
    cli.add_command(command)


def main() -> None:
    """Entry point: every error ends as one readable message and an exit code."""
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = fail(KeyboardInterrupt())
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        code = fail(error)
    sys.exit(code if isinstance(code, int) else 0)
