"""Running the programs of this computer that the lab is made with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from stockade.errors import LabError

DEFAULT_TIMEOUT_S = 60.0
"""Everything run through `run` is local and short; what takes longer passes its own bound."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(**extra: str) -> dict[str, str]:
    """A small, fixed environment, so that the operator's own settings don't leak into long-lived processes."""
    kept = {k: v for k, v in os.environ.items() if k in ("PYTHONPATH", "TMPDIR") or k.lower().endswith("_proxy")}
    return {**kept, "PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", **extra}


def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float = DEFAULT_TIMEOUT_S, check: bool = True) -> str:
    """Output of `argv`. Raises `LabError` with the end of its error output if it fails (unless not `check`)."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment()
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed on this computer") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)} took longer than {timeout_s:.0f} s") from error
    if check and done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise LabError(f"{' '.join(argv)} failed ({done.returncode}): {tail}")
    return done.stdout


_streams: set[subprocess.Popen[str]] = set()


def interrupt() -> None:
    """Kill what `stream` is running in other threads: the user no longer wants it."""
    for process in tuple(_streams):
        process.kill()


def stream(
    argv: Sequence[str], on_line: Callable[[str], None], *, pass_fds: Sequence[int] = ()
) -> tuple[int, list[str]]:
    """Run `argv`, give each line of its output to `on_line`; return code and last lines.

    Has no time limit of its own: a download is as slow as the network. It ends with this process, or on `interrupt`.
    """
    tail: list[str] = []
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment(DEBIAN_FRONTEND="noninteractive"),
        pass_fds=pass_fds,
    ) as process:
        assert process.stdout is not None
        _streams.add(process)
        try:
            for line in process.stdout:
                tail = [*tail[-19:], line.rstrip()]
                on_line(line.rstrip())
        finally:
            _streams.discard(process)
    return process.returncode, tail
