"""Calling the host side: its modules travel with the request, over whatever transport the machine has."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from stockade.errors import BuildError
from stockade.machines.base import Transport

PACKAGE = "stockade.build.hostside"
# Makes the modules importable from memory, then answers one request. Nothing is left on the host.
_LOADER = """
import importlib.util, json, sys
call = json.load(sys.stdin)
class Finder:
    def find_spec(self, name, path=None, target=None):
        short = name.partition(".")[2]
        if name != "hostside" and not (name.startswith("hostside.") and short in call["modules"]):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name == "hostside")
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        short = module.__name__.partition(".")[2] or "__init__"
        exec(compile(call["modules"][short], f"<stockade {short}>", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from hostside.main import handle
json.dump(handle(call["request"]), sys.stdout)
"""


@functools.cache
def _modules() -> dict[str, str]:
    return {
        entry.name.removesuffix(".py"): entry.read_text()
        for entry in resources.files(PACKAGE).iterdir()
        if entry.name.endswith(".py")
    }


async def call(
    transport: Transport,
    host: str,
    request: dict[str, Any],
    *,
    timeout_s: float,
    doing: Callable[[str], None] | None = None,
) -> Any:
    """The host's answer to `request`. Raises BuildError with what went wrong there, Unreachable, HostError."""
    # Loader in argv, everything else (secrets among it) on standard input.
    done = await transport.run(
        ["python3", "-c", _LOADER],
        stdin=json.dumps({"modules": _modules(), "request": request}),
        timeout_s=timeout_s,
        on_line=doing,
    )
    if not done.ok:
        tail = tuple(done.stderr.strip().splitlines()[-8:])
        raise BuildError(host, "the host side ended abnormally", log=tail, next_step="run the command again")
    answer = json.loads(done.stdout)
    if not answer["ok"]:
        raise BuildError(
            host,
            answer["error"],
            unit=answer["unit"],
            log=tuple(answer["log"]),
            next_step=_next_step(host, answer["unit"]),
        )
    return answer["answer"]


def _next_step(host: str, unit: str) -> str:
    if unit:
        return f"stockade exec {host} -- journalctl -u {unit} -n 50; then run `stockade up` again"
    return "mend the cause and run `stockade up` again: it goes on where it stopped"
