"""The Redfish client against recorded troubles, and against the lab's own Redfish server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

from stockade.cloud.model import BmcAddress
from stockade.errors import HostError, LabError
from stockade.machines.base import PowerState
from stockade.machines.lab.bmc import RedfishService
from stockade.machines.lab.spec import MachineSpec
from stockade.machines.redfish import RedfishBmc

ADDRESS = "192.0.2.11"
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Iron:
    """A machine for a BMC to switch."""

    spec: MachineSpec
    on: bool = True
    refuses: bool = False
    log: list[str] = field(default_factory=list)

    @property
    def is_off(self) -> bool:
        return not self.on

    @property
    def is_sound(self) -> bool:
        return self.on

    def lock(self) -> AbstractContextManager[object]:
        return nullcontext()

    def cut_power(self) -> None:
        if self.refuses:
            raise LabError("processes survived SIGKILL")
        self.log.append("cut")
        self.on = False

    def power_on(self) -> bool:
        self.log.append("on")
        self.on = True
        return True

    def shut_down(self, *, restart: bool = False) -> None:
        self.log.append("restart" if restart else "shut down")


@pytest.fixture
def address(tmp_path: Path) -> BmcAddress:
    password = tmp_path / "password"
    password.write_text("secret\n")
    return BmcAddress(f"https://{ADDRESS}", "admin", password, serial="SN-1")


@pytest.fixture
def iron() -> Iron:
    return Iron(MachineSpec("unit-test", "one", "SN-1", "/i", (), "192.0.2.1", ADDRESS))


def lab_bmc(address: BmcAddress, iron: Iron) -> RedfishBmc:
    service = RedfishService({ADDRESS: iron}, lambda _: "secret")
    return RedfishBmc("one", address, transport=httpx.ASGITransport(service.app()), read_back_timeout_s=0.3)


def canned(address: BmcAddress, handler: Handler) -> RedfishBmc:
    return RedfishBmc("one", address, transport=httpx.MockTransport(handler), read_back_timeout_s=0.3)


def vendor(power: list[str], *, serial: str = "SN-1", reset_status: int = 202) -> Handler:
    """A BMC with other paths than the lab's, saying each of `power` in turn and then the last for ever."""
    tree = {
        "/redfish/v1/": {"Systems": {"@odata.id": "/redfish/v1/Systems/"}},
        "/redfish/v1/Systems/": {"Members": [{"@odata.id": "/redfish/v1/Systems/System.Embedded.1"}]},
    }

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path == "/vendor/reset"
            assert json.loads(request.content)["ResetType"] in ("On", "ForceOff")
            return httpx.Response(reset_status)
        if request.url.path in tree:
            return httpx.Response(200, json=tree[request.url.path])
        state = power.pop(0) if len(power) > 1 else power[0]
        actions = {"#ComputerSystem.Reset": {"target": "/vendor/reset"}}
        return httpx.Response(200, json={"PowerState": state, "SerialNumber": serial, "Actions": actions})

    return handle


def test_state_and_serial(address: BmcAddress, iron: Iron) -> None:
    async def ask() -> tuple[PowerState, str]:
        bmc = lab_bmc(address, iron)
        return await bmc.power_state(), await bmc.serial()

    assert asyncio.run(ask()) == (PowerState.ON, "SN-1")


def test_off_and_on_only_when_needed(address: BmcAddress, iron: Iron) -> None:
    async def switch() -> None:
        bmc = lab_bmc(address, iron)
        for state in (PowerState.OFF, PowerState.OFF, PowerState.ON, PowerState.ON):
            await bmc.set_power(state)
            assert await bmc.power_state() is state

    asyncio.run(switch())
    assert iron.log == ["cut", "on"]


def test_power_is_read_back_from_a_slow_bmc_with_paths_of_its_own(address: BmcAddress) -> None:
    bmc = canned(address, vendor(["On", "On", "PoweringOff", "Off"]))
    bmc.read_back_timeout_s = 5
    asyncio.run(bmc.set_power(PowerState.OFF))


def test_bmc_that_says_yes_and_does_nothing(address: BmcAddress) -> None:
    with pytest.raises(HostError, match="accepted 'ForceOff', but after 0 s the power is still not off"):
        asyncio.run(canned(address, vendor(["On"])).set_power(PowerState.OFF))


def test_machine_on_its_way_down_is_on(address: BmcAddress) -> None:
    assert asyncio.run(canned(address, vendor(["PoweringOff"])).power_state()) is PowerState.ON


def test_wrong_machine_is_never_switched(address: BmcAddress) -> None:
    with pytest.raises(HostError, match="belongs to another machine: serial number 'SN-2', expected 'SN-1'"):
        asyncio.run(canned(address, vendor(["On"], serial="SN-2")).set_power(PowerState.OFF))
    assert asyncio.run(canned(address, vendor(["On"], serial="SN-2")).serial()) == "SN-2"


def test_wrong_password(address: BmcAddress, iron: Iron) -> None:
    address.password_file.write_text("guess")
    with pytest.raises(HostError, match="refused the password of 'admin'"):
        asyncio.run(lab_bmc(address, iron).power_state())


def test_missing_password_file(address: BmcAddress, iron: Iron) -> None:
    address.password_file.unlink()
    with pytest.raises(HostError, match="cannot read its BMC password"):
        asyncio.run(lab_bmc(address, iron).power_state())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ConnectError("no route"), "cannot be reached: no route"),
        (httpx.ConnectTimeout("late"), "did not answer within 10 s"),
        (httpx.ReadTimeout("late"), "did not answer within 10 s"),
    ],
)
def test_unreachable(address: BmcAddress, error: httpx.HTTPError, message: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:  # noqa: ARG001
        raise error

    with pytest.raises(HostError, match=message):
        asyncio.run(canned(address, fail).power_state())


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(503), "answered 503 to GET /redfish/v1/"),
        (httpx.Response(200, text="<html>"), "something else than JSON"),
        (httpx.Response(200, json={"Members": []}), "lists no computer system"),
    ],
)
def test_not_a_bmc(address: BmcAddress, response: httpx.Response, message: str) -> None:
    with pytest.raises(HostError, match=message):
        asyncio.run(canned(address, lambda _: response).power_state())


def test_failed_power_cut_is_an_error_and_not_off(address: BmcAddress, iron: Iron) -> None:
    iron.refuses = True

    async def switch() -> PowerState:
        bmc = lab_bmc(address, iron)
        with pytest.raises(HostError, match="answered 500"):
            await bmc.set_power(PowerState.OFF)
        return await bmc.power_state()

    assert asyncio.run(switch()) is PowerState.ON


def test_server_only_answers_for_addresses_it_has_and_callers_it_knows(iron: Iron) -> None:
    service = RedfishService({ADDRESS: iron}, lambda _: "secret")

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app())) as client:
            reset = f"https://{ADDRESS}/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
            good = httpx.BasicAuth("admin", "secret")
            return [
                (await client.get(f"https://{ADDRESS}/redfish/v1")).status_code,
                (await client.get(f"https://{ADDRESS}/redfish/v1/Systems/1")).status_code,
                (await client.get("https://192.0.2.99/redfish/v1/Systems/1", auth=good)).status_code,
                (await client.post(reset, json={"ResetType": "ForceOff"})).status_code,
                (await client.post(reset, auth=good, json={"ResetType": "Explode"})).status_code,
                (await client.post(reset, auth=good, content=b"[]")).status_code,
                (await client.post(reset, auth=good, json={"ResetType": "GracefulShutdown"})).status_code,
                (await client.post(reset, auth=good, json={"ResetType": "ForceRestart"})).status_code,
            ]

    assert asyncio.run(ask()) == [200, 401, 404, 401, 400, 400, 204, 204]
    assert iron.log == ["shut down", "cut", "on"]
