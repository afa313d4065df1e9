"""Identity: a token issued at one VIP is used at the other, so on whichever controller answers there.

Only the first one is bought with the password. Checking its hash costs a quarter of a second of CPU, by design; a token
for a token costs what Keystone's own work does, and a lab whose hosts share two cores is not tested by its hashes.
"""

from __future__ import annotations

from stockade.drill.history import Kind
from stockade.drill.load.http import Client
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Result, Stream

TIMEOUT_S = 10.0


async def issue(client: Client, plan: LoadPlan) -> Result:
    """Issue a token over a new connection to the external VIP, and keep it as the newest."""
    user = {"name": plan.username, "password": plan.password, "domain": {"id": "default"}}
    identity = (
        {"methods": ["token"], "token": {"id": client.token}}
        if client.token
        else {"methods": ["password"], "password": {"user": user}}
    )
    scope = {"project": {"name": plan.project_name, "domain": {"id": "default"}}}
    body = {"auth": {"identity": identity, "scope": scope}}
    # Nothing that anyone could look for later is created: no answer is simply a failure.
    result, answer = await client.send("POST", f"{plan.api('identity').external}/auth/tokens", {201}, json=body)
    if answer is not None and result.kind is Kind.OK:
        client.newest = answer.headers["X-Subject-Token"]
        client.token = client.token or client.newest
    return result


def streams(client: Client, plan: LoadPlan) -> tuple[Stream, ...]:
    """`token` and `token-use`."""
    if not plan.rate_hz("token"):
        return ()

    async def token(_number: int) -> Result:
        return await issue(client, plan)

    async def use(_number: int) -> Result:
        url = f"{plan.api('identity').internal}/regions"
        result, _ = await client.send("GET", url, {200}, keep=True, headers={"X-Auth-Token": client.newest})
        return result

    return (
        Stream("token", plan.rate_hz("token"), TIMEOUT_S, token),
        Stream("token-use", plan.rate_hz("token-use"), TIMEOUT_S, use),
    )
