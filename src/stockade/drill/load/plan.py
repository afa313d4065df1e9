"""What the load process is told to do. It comes as JSON over its standard input, because it holds a password."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from stockade.drill.scenario import Load

EXTERNAL, INTERNAL = "external", "internal"


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its address at each VIP, and a list that is cheap to ask for."""

    name: str
    external: str
    internal: str
    list_path: str


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Everything the workloads need."""

    seed: int
    base_ns: int
    """Of the monotonic clock: time 0 of the history."""
    ca_file: str | None
    username: str
    password: str
    project_name: str
    apis: tuple[Api, ...]
    vips: dict[str, str]
    load: Load
    server: dict[str, Any]
    """What is sent to make a VM; empty if none is made."""
    guest: str
    """The demo VM's floating address."""

    def rate_hz(self, stream: str) -> float:
        """Operations per second of `stream`; 0 leaves it out."""
        return self.load.streams()[stream]

    def api(self, name: str) -> Api:
        """The API called `name`."""
        return next(each for each in self.apis if each.name == name)


def encode(plan: LoadPlan) -> str:
    """One line."""
    return json.dumps({**asdict(plan), "load": plan.load.model_dump()})


def decode(line: str) -> LoadPlan:
    """The plan in `line`."""
    data = json.loads(line)
    apis = tuple(Api(**each) for each in data.pop("apis"))
    return LoadPlan(apis=apis, load=Load(**data.pop("load")), **data)
