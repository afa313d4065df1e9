"""Debian packages: which are there, and installing those that are not, without starting their daemons."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import shell

POLICY = Path("/usr/sbin/policy-rc.d")
NO_STARTS = "#!/bin/sh\n# stockade: packages must not start their daemons while they are installed\nexit 101\n"
INSTALL_TIMEOUT_S = 1800


def versions(names: Sequence[str]) -> dict[str, str]:
    """Installed version of each package that is installed; of `NAME>=VERSION`, only if it is not older than that."""
    wanted = {each: each.partition(">=")[::2] for each in names}
    command = ["dpkg-query", "-W", "-f=${Package}\t${db:Status-Status}\t${Version}\n"]
    # Returns 1 when one of them is unknown, and prints the others all the same.
    argv = [*command, *sorted({name for name, _least in wanted.values()})]
    output = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    found = {}
    for line in output.splitlines():
        fields = line.split("\t")
        if len(fields) == 3 and fields[1] == "installed":
            found[fields[0]] = fields[2]
    return {
        each: found[name]
        for each, (name, least) in wanted.items()
        if name in found and (not least or shell.ok(["dpkg", "--compare-versions", found[name], "ge", least]))
    }


def install(names: Sequence[str], preseed: str) -> None:
    """Install `names`. Debian's packages start their daemons when installed; policy-rc.d forbids that meanwhile.

    Raises RuntimeError if one is still older than it must be.
    """
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    shell.run(["debconf-set-selections"], stdin=preseed)
    # Left behind by a run that was killed here, it still is ours.
    ours = not POLICY.exists() or POLICY.read_text() == NO_STARTS
    if ours:
        POLICY.write_text(NO_STARTS)
        POLICY.chmod(0o755)
    try:
        shell.run(["dpkg", "--configure", "-a"], timeout_s=INSTALL_TIMEOUT_S, env=env)
        shell.run(["apt-get", "update", "-q"], timeout_s=INSTALL_TIMEOUT_S, env=env)
        shell.run(
            [
                "apt-get", "install", "-q", "-y", "--no-install-recommends",
                "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
                *(each.partition(">=")[0] for each in names),
            ],
            timeout_s=INSTALL_TIMEOUT_S,
            env=env,
        )  # fmt: skip
    finally:
        if ours:
            POLICY.unlink()
    if old := sorted({each for each in names if ">=" in each} - set(versions(names))):
        raise RuntimeError(
            f"the package sources of this host offer nothing as new as {', '.join(old)}; "
            "are Debian's security updates among them?"
        )
