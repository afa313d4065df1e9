"""The machines' BMCs: one process that speaks Redfish at every machine's out-of-band address.

Run as ``python -m stockade.machines.lab.bmc CLOUD`` in the lab's BMC namespace. The address a request comes in
at says which machine it is for. Like a real BMC it has its own power: it answers while its machine is off.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stockade.errors import LabError
from stockade.machines.lab import keys, network
from stockade.machines.lab.cgroup import Group
from stockade.machines.lab.machine import Machine
from stockade.machines.lab.paths import NETNS, LabPaths
from stockade.machines.lab.run import environment
from stockade.machines.lab.spec import MachineSpec, load_all

START_TIMEOUT_S = 20.0
HANG_S = 3600.0
"""How long a hung BMC keeps its callers waiting; they give up long before."""

SERVICE = 1
"""Raise it when this file changes how a running BMC behaves: `up` then starts it again."""

SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
RESET_TYPES = ("On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle", "GracefulRestart")


class Troubled:
    """The BMC faults of one machine, told through a file by `stockade.machines.lab.faults`."""

    HANG, IGNORE, LIE, REFUSE = "hang", "ignore", "lie", "refuse"

    def __init__(self, spec: MachineSpec) -> None:
        self.file = spec.paths.run / "faults" / f"bmc-{spec.host}"

    @property
    def how(self) -> str:
        """The fault in force; empty: none."""
        try:
            return self.file.read_text().strip()
        except OSError:
            return ""


class Powered(Protocol):
    """What a BMC can do to its machine; `Machine` is one."""

    @property
    def spec(self) -> MachineSpec:
        """Who it is."""
        ...

    @property
    def is_off(self) -> bool:
        """True if nothing of it runs."""
        ...

    @property
    def is_sound(self) -> bool:
        """True if it runs as it should."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """To be held while cutting its power."""
        ...

    def cut_power(self) -> None:
        """Switch it off at once."""
        ...

    def power_on(self) -> bool:
        """Switch it on."""
        ...

    def shut_down(self, *, restart: bool = False) -> None:
        """Ask its system to stop."""
        ...


class RedfishService:
    """The Redfish tree of every machine of one lab: `machines` by BMC address."""

    def __init__(self, machines: Mapping[str, Powered], password: Callable[[MachineSpec], str]) -> None:
        self._by_address, self._password = machines, password

    def app(self) -> Starlette:
        """The ASGI application."""
        tree = {
            "/redfish": self.versions,
            "/redfish/v1": self.root,
            "/redfish/v1/Systems": self.systems,
            SYSTEM: self.system,
            "/redfish/v1/Managers": self.nothing,
            "/redfish/v1/Chassis": self.nothing,
        }
        routes = [Route(path + end, view) for path, view in tree.items() for end in ("", "/")]
        routes += [Route(RESET + end, self.reset, methods=["POST"]) for end in ("", "/")]
        return Starlette(routes=routes)

    async def versions(self, request: Request) -> Response:  # noqa: ARG002  every view takes one
        """The protocol versions."""
        return JSONResponse({"v1": "/redfish/v1/"})

    async def root(self, request: Request) -> Response:
        """The service root, readable without a password as the standard wants."""
        machine = self._machine(request)
        if machine is None:
            return _error(404, "no machine has this BMC")
        await _hang_if_told(machine)
        return JSONResponse(
            {
                "@odata.id": "/redfish/v1/",
                "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot",
                "Id": "RootService",
                "Name": "Stockade lab BMC",
                "RedfishVersion": "1.6.0",
                "UUID": _uuid(machine.spec.serial),
                "Systems": {"@odata.id": "/redfish/v1/Systems"},
                "Managers": {"@odata.id": "/redfish/v1/Managers"},
                "Chassis": {"@odata.id": "/redfish/v1/Chassis"},
            }
        )

    async def systems(self, request: Request) -> Response:
        """The one system."""
        machine = await self._entered(request)
        if isinstance(machine, Response):
            return machine
        return _collection("/redfish/v1/Systems", "ComputerSystem", [SYSTEM])

    async def nothing(self, request: Request) -> Response:
        """An empty collection, for clients that walk the tree."""
        machine = await self._entered(request)
        return machine if isinstance(machine, Response) else _collection(request.url.path, "Resource", [])

    async def system(self, request: Request) -> Response:
        """The machine: who it is, and whether it has power."""
        machine = await self._entered(request)
        if isinstance(machine, Response):
            return machine
        off = machine.is_off or Troubled(machine.spec).how == Troubled.LIE
        return JSONResponse(
            {
                "@odata.id": SYSTEM,
                "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem",
                "Id": "1",
                "Name": machine.spec.host,
                "HostName": machine.spec.host,
                "SystemType": "Physical",
                "Manufacturer": "Stockade",
                "Model": "Lab machine",
                "SerialNumber": machine.spec.serial,
                "UUID": _uuid(machine.spec.serial),
                "PowerState": "Off" if off else "On",
                "Status": {"State": "Disabled" if off else "Enabled", "Health": "OK"},
                "Actions": {
                    "#ComputerSystem.Reset": {"target": RESET, "ResetType@Redfish.AllowableValues": list(RESET_TYPES)}
                },
            }
        )

    async def reset(self, request: Request) -> Response:
        """Change the power; answered when it is done."""
        machine = await self._entered(request)
        if isinstance(machine, Response):
            return machine
        try:
            kind = (await request.json()).get("ResetType")
        except (ValueError, AttributeError):
            return _error(400, "the request is not a JSON object")
        if kind not in RESET_TYPES:
            return _error(400, f"ResetType {kind!r} is none of {', '.join(RESET_TYPES)}")
        if Troubled(machine.spec).how in (Troubled.IGNORE, Troubled.LIE):
            return Response(status_code=204)
        try:
            await asyncio.to_thread(switch, machine, kind)
        except LabError as error:
            return _error(500, str(error))
        return Response(status_code=204)

    def _machine(self, request: Request) -> Powered | None:
        # The address the connection was made to, not the Host header: that one is the client's to choose.
        server = request.scope.get("server")
        return self._by_address.get(server[0]) if server else None

    async def _entered(self, request: Request) -> Powered | Response:
        """The machine of this BMC, once the caller has shown its password."""
        machine = self._machine(request)
        if machine is None:
            return _error(404, "no machine has this BMC")
        await _hang_if_told(machine)
        refused = Troubled(machine.spec).how == Troubled.REFUSE
        if refused or not _authorized(request.headers.get("authorization", ""), self._password(machine.spec)):
            return _error(401, "wrong user name or password", {"WWW-Authenticate": 'Basic realm="BMC"'})
        return machine


def switch(machine: Powered, kind: str) -> None:
    """Do what the Redfish reset type `kind` means. Raises `LabError`."""
    if kind in ("GracefulShutdown", "GracefulRestart"):
        if machine.is_sound:
            machine.shut_down(restart=kind == "GracefulRestart")
        return
    if kind != "On":
        with machine.lock():
            machine.cut_power()
    if kind != "ForceOff":
        machine.power_on()


def ensure_server(cloud: str, machines: Mapping[str, MachineSpec]) -> None:
    """Have the BMCs of `machines` answer; started again only if they are others than before. Raises `LabError`."""
    paths, group = LabPaths(cloud), Group(f"{cloud}/bmc")
    addresses = [spec.bmc_address for spec in machines.values() if spec.bmc_address]
    if not addresses:
        return
    renewed = keys.ensure_certificates(paths, addresses)
    served = json.dumps([SERVICE, *(asdict(machines[name]) for name in sorted(machines))])
    note = paths.run / "bmc-serves"
    if not renewed and group.populated() and note.exists() and note.read_text() == served:
        return
    stop_server(cloud)
    group.create()
    enter = 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"'
    program = [sys.executable, "-P", "-m", "stockade.machines.lab.bmc", cloud]
    net = f"--net={NETNS / network.bmc_name(cloud)}"
    log_file = paths.bmc / "server.log"
    with log_file.open("wb") as log:
        subprocess.run(
            ["setsid", "--fork", "nsenter", net, "sh", "-c", enter, "sh", str(group.path), *program],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            check=True,
            timeout=START_TIMEOUT_S,
        )
    _wait_listening(cloud, group, log_file)
    note.write_text(served)


def stop_server(cloud: str) -> None:
    """End the BMCs' process, if it runs."""
    group = Group(f"{cloud}/bmc")
    group.kill()
    group.remove()


def main() -> None:
    """Entry point."""
    cloud = sys.argv[1]
    machines = {spec.bmc_address: Machine(spec) for spec in load_all(cloud).values() if spec.bmc_address}
    service = RedfishService(machines, _password_of)
    certificate = str(LabPaths(cloud).bmc / "server.pem")
    uvicorn.run(
        service.app(),
        host="0.0.0.0",  # in a namespace that has the BMCs' addresses and nothing else
        port=443,
        ssl_certfile=certificate,
        ssl_keyfile=certificate,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


def _wait_listening(cloud: str, group: Group, log_file: Path) -> None:
    net = Path("/proc")
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        for pid in group.pids():
            table = net / str(pid) / "net" / "tcp"
            # Local address 0.0.0.0:443, state LISTEN, as the kernel writes them.
            if table.exists() and " 00000000:01BB 00000000:0000 0A " in table.read_text():
                return
        time.sleep(0.05)
    last = log_file.read_text(errors="replace").strip().splitlines()[-3:]
    raise LabError(f"the BMCs of {cloud} did not start: " + " / ".join(last or ["no output"]))


async def _hang_if_told(machine: Powered) -> None:
    if Troubled(machine.spec).how == Troubled.HANG:
        await asyncio.sleep(HANG_S)


def _authorized(header: str, password: str) -> bool:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, given = b64decode(value).decode().partition(":")
    except ValueError:
        return False
    return user == keys.USER and hmac.compare_digest(given.encode(), password.encode())


def _password_of(spec: MachineSpec) -> str:
    """Read for each request: a changed password is in force at once."""
    return (spec.paths.bmc / f"{spec.host}.password").read_text().strip()


def _collection(path: str, kind: str, members: list[str]) -> Response:
    return JSONResponse(
        {
            "@odata.id": path,
            "@odata.type": f"#{kind}Collection.{kind}Collection",
            "Name": f"{kind} collection",
            "Members": [{"@odata.id": member} for member in members],
            "Members@odata.count": len(members),
        }
    )


def _error(status: int, what: str, headers: Mapping[str, str] | None = None) -> Response:
    body: dict[str, Any] = {"error": {"code": "Base.1.0.GeneralError", "message": what}}
    return JSONResponse(body, status_code=status, headers=headers)


def _uuid(serial: str) -> str:
    digest = hashlib.sha256(serial.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


if __name__ == "__main__":
    main()
