"""Running commands on the host, with errors that say what the command said."""

import contextlib
import subprocess
import sys
from collections.abc import Sequence


class CommandError(RuntimeError):
    """A command returned non-zero. `stderr` holds its last lines."""

    def __init__(self, argv: Sequence[str], returncode: int, output: str) -> None:
        self.argv, self.returncode, self.output = list(argv), returncode, output
        tail = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{' '.join(argv)}` returned {returncode}: {tail}")


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_s: float = 60,
    user: str = "",
    env: dict[str, str] | None = None,
) -> str:
    """Standard output of `argv`, run as `user` (root if empty). Raises CommandError."""
    command = ["runuser", "-u", user, "--", *argv] if user else list(argv)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False, env=env)
    if done.returncode:
        raise CommandError(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def ok(argv: Sequence[str], *, timeout_s: float = 20) -> bool:
    """True if `argv` returned 0 in time."""
    try:
        return subprocess.run(argv, capture_output=True, timeout=timeout_s, check=False).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def say(text: str) -> None:
    """Tell the operator's screen what this host is doing now."""
    # The operator may be gone; the step goes on to its end all the same.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
