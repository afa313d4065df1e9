"""Lists of every API: at the external VIP over new connections, at the internal one over kept ones."""

from __future__ import annotations

from stockade.drill.load.http import Client
from stockade.drill.load.plan import EXTERNAL, INTERNAL, Api, LoadPlan
from stockade.drill.load.stream import Operation, Result, Stream

TIMEOUT_S = 10.0


def streams(client: Client, plan: LoadPlan) -> tuple[Stream, ...]:
    """`read-<api>-external` and `read-<api>-internal`; identity is what the tokens are for."""
    return tuple(
        Stream(name, plan.rate_hz(name), TIMEOUT_S, _read(client, api, vip))
        for api in plan.apis
        for vip in (EXTERNAL, INTERNAL)
        if api.name != "identity" and plan.rate_hz(name := f"read-{api.name}-{vip}")
    )


def _read(client: Client, api: Api, vip: str) -> Operation:
    url = (api.external if vip == EXTERNAL else api.internal) + api.list_path

    async def read(_number: int) -> Result:
        result, _ = await client.send("GET", url, {200}, keep=vip == INTERNAL)
        return result

    return read
