"""What a host can be asked: its facts, to apply one stage, to wait for checks. One request in, one response out."""

import concurrent.futures
import contextlib
import fcntl
import importlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import checks, files, haproxy, hardware, packages, preflight, shell, units

Json = dict[str, Any]
LOCKS = Path("/run/stockade")
ALONE_S = 3 * 3600
"""Longer than the longest step: a migration, or all services' packages one after the other over a slow line."""
PARALLEL = 6
"""Checks that run side by side on a host; most of them wait for an answer rather than compute."""


def handle(request: Json) -> Json:
    """Answer one request. Errors come back as data, with the unit and its log where there is one."""
    try:
        return {"ok": True, "answer": _VERBS[str(request["do"])](request)}
    except units.UnitError as error:
        return {"ok": False, "error": str(error), "unit": error.unit, "log": error.lines}
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}", "unit": "", "log": []}


def facts(request: Json) -> Json:
    """Everything the plan compares, in one answer."""
    described = units.describe(request["units"])
    # Where nothing was ever started there is nothing to ask, and asking would only wait for answers.
    ask = differences if any(unit["marker"] for unit in described.values()) else _not_built
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        asked = {resource["key"]: pool.submit(ask, resource) for resource in request["resources"]}
        return {
            "boot_id": boot_id(),
            "files": {path: files.describe(path) for path in request["files"]},
            "units": described,
            "masked": units.masked(request["masked"]),
            "packages": packages.versions(request["packages"]),
            "resources": {key: future.result() for key, future in asked.items()},
        }


def differences(resource: Json) -> list[str]:
    """How a resource differs from what is desired; that it cannot be told is a difference too."""
    try:
        return list(_program(resource).check(resource["desired"]))
    except Exception as error:
        return [f"cannot be read yet: {_first_line(error)}"]


def _not_built(_resource: Json) -> list[str]:
    return ["not there yet"]


def apply(request: Json) -> Json:
    """Make one stage so; every part looks again before it changes anything. Returns what was changed."""
    with _alone(request["service"]):
        return {"done": _apply(request)}


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """One at a time of each: a killed `up` may have left one at work here. Raises RuntimeError after `ALONE_S`."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with (LOCKS / f"apply-{name}.lock").open("w") as file:
        deadline = time.monotonic() + ALONE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"another run is still at work on {name} here") from None
                time.sleep(checks.POLL_S)
        yield


def _apply(request: Json) -> list[str]:
    done: list[str] = []
    if request["packages"]:
        shell.say("installing " + " ".join(request["packages"]))
        with _alone("packages"):
            packages.install(request["packages"], request["preseed"])
        done += [f"installed {name}" for name in request["packages"]]
    # Markers go first: killed after the file is written and before its reader restarts, we must know the next time.
    for name in request["stale"]:
        units.forget(name)
    for entry in request["directories"]:
        files.make_directory(entry)
    reload_manager = False
    for name in request["unmask"]:
        units.unmask(name)
        reload_manager = True
    for entry in request["files"]:
        shell.say(f"writing {entry['path']}")
        files.write(entry)
        done.append(f"wrote {entry['path']}")
        reload_manager |= entry["path"].startswith(str(units.DIRECTORY))
    if request["mask"]:
        units.mask(request["mask"])
        done += [f"masked {name}" for name in request["mask"]]
    elif reload_manager:
        units.reload_manager()
    done += _settle(request["before"])
    for unit in request["units"]:
        _act(unit, done)
    done += _settle(request["resources"])
    return done


def _act(unit: Json, done: list[str]) -> None:
    name = unit["name"]
    if "at_boot" in unit:
        units.enable(name, at_boot=unit["at_boot"])
    if unit["verb"]:
        shell.say(f"{unit['verb']} {name}")
        again = "restart" if unit["at_boot"] else "try-restart"  # what the agent starts may have been stopped since
        units.act(again if unit["verb"] in ("apply", "restart", "revive") else unit["verb"], name)
        done.append(f"{unit['verb']} {name}")
    if unit["marker"]:
        units.remember(name, unit["marker"])


def _settle(resources: list[Json]) -> list[str]:
    done = []
    for resource in resources:
        program = _program(resource)
        try:
            wrong = list(program.check(resource["desired"]))
        except Exception as error:
            wrong = [f"could not be read: {_first_line(error)}"]
        if wrong:
            shell.say(resource["name"])
            program.apply(resource["desired"])
            done += [f"{resource['name']}: {line}" for line in wrong]
    return done


def read(request: Json) -> Json:
    """Contents of files, for showing a diff."""
    return {path: files.read(path) for path in request["files"]}


def wait(request: Json) -> Json:
    """Wait until every check says yes, each within its own bound. Returns those that never did, with why."""
    failed = {}
    for check in request["checks"]:
        start = time.monotonic()
        shell.say(f"waiting: {check['name']}")
        answer = checks.answer(check)
        while not answer["ok"] and time.monotonic() - start < check["timeout_s"]:
            time.sleep(checks.POLL_S)
            answer = checks.answer(check)
        if not answer["ok"]:
            failed[check["name"]] = answer["text"]
            break
    return {"failed": failed}


def drain(request: Json) -> Json:
    """Take a server out of rotation in this host's HAProxy and wait for its last session to end."""
    shell.say(f"draining {request['server']}")
    clean = [haproxy.drain(name, request["server"], request["timeout_s"]) for name in request["backends"]]
    return {"clean": all(clean)}


def undrain(request: Json) -> Json:
    """Put it back."""
    for name in request["backends"]:
        haproxy.ready(name, request["server"])
    return {}


def status(request: Json) -> Json:
    """Answer of every check, asked side by side."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        return {"boot_id": boot_id(), "checks": list(pool.map(checks.answer, request["checks"]))}


def boot_id() -> str:
    """The kernel's or, in a container that shares it, systemd's own id of this boot."""
    marker = Path("/run/stockade/boot_id")
    if not marker.exists():
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(os.urandom(16).hex())
    return marker.read_text()


def _program(resource: Json) -> Any:
    return importlib.import_module(f".{resource['program']}", __package__)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[-1][:200]


_VERBS: dict[str, Callable[[Json], Any]] = {
    "facts": facts,
    "apply": apply,
    "read": read,
    "wait": wait,
    "status": status,
    "drain": drain,
    "undrain": undrain,
    "preflight": preflight.look,
    "hardware": lambda request: hardware.describe(guests=request["guests"]),
}
