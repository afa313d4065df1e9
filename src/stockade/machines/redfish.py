"""A BMC that speaks Redfish, over httpx.

Four troubles are told apart, because each has another remedy: the BMC does not answer, it refuses the
password, it belongs to another machine, or it says yes and the power doesn't change.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx

from stockade.cloud.model import BmcAddress
from stockade.errors import HostError
from stockade.machines.base import PowerState

REQUEST_TIMEOUT_S = 10.0
"""BMCs are slow computers; one that takes longer is not answering."""
READ_BACK_TIMEOUT_S = 30.0
"""Fence agents give a power change 20 s by default; firmware under load has been seen to take more."""
READ_BACK_POLL_S = 0.25

_RESETS = {PowerState.ON: "On", PowerState.OFF: "ForceOff"}


class RedfishBmc:
    """The BMC at `address`, of the machine called `name` in messages."""

    def __init__(
        self,
        name: str,
        address: BmcAddress,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        read_back_timeout_s: float = READ_BACK_TIMEOUT_S,
    ) -> None:
        self.name, self.address = name, address
        self.read_back_timeout_s = read_back_timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._system_path: str | None = None

    async def power_state(self) -> PowerState:
        """Power as read back just now. A machine on its way up or down is `ON`: it may still write."""
        return PowerState.OFF if (await self._system()).get("PowerState") == "Off" else PowerState.ON

    async def serial(self) -> str:
        """Serial number of the machine behind this BMC."""
        return str((await self._system(check_serial=False)).get("SerialNumber") or "")

    async def set_power(self, state: PowerState) -> None:
        """Ask for a hard power change and return when it has been read back."""
        system = await self._system()
        if self._state(system) is state:
            return
        action = system.get("Actions", {}).get("#ComputerSystem.Reset", {})
        target = action.get("target") or f"{self._system_path}/Actions/ComputerSystem.Reset"
        await self._request("POST", str(target), {"ResetType": _RESETS[state]})
        deadline = time.monotonic() + self.read_back_timeout_s
        while await self.power_state() is not state:
            if time.monotonic() > deadline:
                raise HostError(
                    self.name,
                    f"its BMC accepted '{_RESETS[state]}', but after {self.read_back_timeout_s:.0f} s the power"
                    f" is still not {state}",
                    next_step=f"look at the machine itself; its BMC {self.address.url} cannot be trusted",
                )
            await asyncio.sleep(READ_BACK_POLL_S)

    async def close(self) -> None:
        """End the session."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @staticmethod
    def _state(system: Mapping[str, Any]) -> PowerState:
        return PowerState.OFF if system.get("PowerState") == "Off" else PowerState.ON

    async def _system(self, *, check_serial: bool = True) -> Mapping[str, Any]:
        """The computer system resource; found once, read each time."""
        if self._system_path is None:
            root = await self._request("GET", "/redfish/v1/")
            systems = await self._request("GET", _link(root.get("Systems"), "/redfish/v1/Systems"))
            members = systems.get("Members") or []
            if not members:
                raise self._error("lists no computer system", "check that this is the BMC of a server")
            self._system_path = _link(members[0], "/redfish/v1/Systems/1")
        system = await self._request("GET", self._system_path)
        expected, found = self.address.serial, system.get("SerialNumber")
        if check_serial and expected and found != expected:
            raise self._error(
                f"belongs to another machine: serial number {found!r}, expected {expected!r}",
                f"correct `bmc:` of {self.name} in the cloud file; nothing was switched",
            )
        return system

    async def _request(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            response = await self._session().request(method, path, json=body, auth=self._credentials())
        except httpx.TimeoutException as error:
            raise self._error(
                f"did not answer within {REQUEST_TIMEOUT_S:.0f} s", "check the out-of-band network"
            ) from error
        except httpx.HTTPError as error:
            raise self._error(f"cannot be reached: {error}", "check the out-of-band network and the URL") from error
        if response.status_code in (401, 403):
            raise self._error(
                f"refused the password of {self.address.username!r}", f"correct {self.address.password_file}"
            )
        if response.status_code >= 400:
            raise self._error(f"answered {response.status_code} to {method} {path}", "look at the BMC's own log")
        if response.status_code == 204 or not response.content:
            return {}
        try:
            data = response.json()
        except ValueError as error:
            raise self._error(f"answered {method} {path} with something else than JSON", "check the URL") from error
        return data if isinstance(data, dict) else {}

    def _session(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self.address.url,
                timeout=REQUEST_TIMEOUT_S,
                verify=True if self._transport else self._verification(),
                transport=self._transport,
                trust_env=False,
            )
        return self._client

    def _verification(self) -> ssl.SSLContext:
        """BMCs come with certificates nobody signed: only a CA named in the cloud file is checked against."""
        if self.address.ca_file is not None:
            return ssl.create_default_context(cafile=str(self.address.ca_file))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _credentials(self) -> tuple[str, str]:
        try:
            return self.address.username, self.address.password_file.read_text().strip()
        except OSError as error:
            raise HostError(
                self.name,
                f"cannot read its BMC password: {error}",
                next_step=f"write it to {self.address.password_file}",
            ) from error

    def _error(self, what: str, next_step: str) -> HostError:
        return HostError(self.name, f"its BMC {self.address.url} {what}", next_step=next_step)


def _link(resource: object, default: str) -> str:
    if isinstance(resource, dict):
        return str(resource.get("@odata.id") or default)
    return default
