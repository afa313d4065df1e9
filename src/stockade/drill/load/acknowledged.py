"""The acknowledged set: records that are cheap to create, told apart by name, and counted at the end.

Address scopes of Neutron: each is one row of the database, no agent hears of it, and no quota limits them. (A network
takes fifty tags at most.)
"""

from __future__ import annotations

from stockade.drill.load.http import Client
from stockade.drill.load.plan import LoadPlan
from stockade.drill.load.stream import Result, Stream

NAME = "set-add"
PATH = "/v2.0/address-scopes"
PREFIX = "stockade-drill"
TIMEOUT_S = 10.0


def record_name(seed: int, number: int) -> str:
    """Of the record that operation `number` creates."""
    return f"{PREFIX}-{seed}-{number:05}"


def streams(client: Client, plan: LoadPlan) -> tuple[Stream, ...]:
    """`set-add`."""
    if not plan.rate_hz(NAME):
        return ()
    url = f"{plan.api('network').external}{PATH}"

    async def add(number: int) -> Result:
        body = {"address_scope": {"name": record_name(plan.seed, number), "ip_version": 4}}
        result, _ = await client.send("POST", url, {201}, writes=True, json=body)
        return result

    def key(number: int) -> str:
        return record_name(plan.seed, number)

    return (Stream(NAME, plan.rate_hz(NAME), TIMEOUT_S, add, writes=True, key=key),)
