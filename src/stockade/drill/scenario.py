"""A scenario: what is broken, under which load, how often, and what is expected. Fixed before the first trial.

Scenarios are YAML files in `scenarios/`; `digest` goes into every history, so that a threshold moved afterwards
shows. Pure.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stockade.cloud.model import Plane
from stockade.errors import UsageError


class TargetRole(StrEnum):
    """Who is hit; told by looking at the cloud at the moment of the injection."""

    NOBODY = "nobody"
    VIP_HOLDER = "vip-holder"
    """The controller that holds the internal VIP."""
    DATABASE_WRITER = "database-writer"
    """The controller whose MariaDB the load balancers use."""
    QUEUE_LEADER = "queue-leader"
    """The controller that leads most of RabbitMQ's quorum queues."""
    ROUTER_OWNER = "router-owner"
    """The controller through which the demo's router forwards."""
    EVERYTHING = "everything"
    """The database writer, after the VIPs and the router were moved onto it."""
    OTHER_CONTROLLER = "other-controller"
    """A controller that neither holds the VIP nor takes the writes."""
    VM_HOST = "vm-host"
    """The compute that runs the demo's VM."""
    GUARD_LEADER = "guard-leader"
    """The controller whose guard decides."""
    ALL_CONTROLLERS = "all-controllers"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoFault(_Strict):
    """The null drill."""

    kind: Literal["none"]


class ProbesDropped(_Strict):
    """The positive control: what the probes send is dropped on this computer for exactly `for_s`."""

    kind: Literal["probes-dropped"]
    for_s: float


class RowDeleted(_Strict):
    """The broken-cloud control: an acknowledged record is deleted from the database."""

    kind: Literal["row-deleted"]


class PowerCut(_Strict):
    """Power off through the BMC, without a shutdown."""

    kind: Literal["power-cut"]


class MachineFrozen(_Strict):
    """Every process of the machine stops where it is."""

    kind: Literal["machine-frozen"]


class UnitFrozen(_Strict):
    """SIGSTOP to every process of a unit."""

    kind: Literal["unit-frozen"]
    unit: str


class UnitKilled(_Strict):
    """SIGKILL to every process of a unit, on each target."""

    kind: Literal["unit-killed"]
    unit: str
    keep_down: bool = False
    """Keep it from being started again until the heal."""


class NetworkCut(_Strict):
    """Frames of the target are dropped, or its cable is pulled, on these planes."""

    kind: Literal["network-cut"]
    planes: tuple[Plane, ...]
    how: Literal["unplug", "both", "to", "from"] = "both"
    """`unplug`: both ends see the link go. Otherwise it stays up, and frames in this direction vanish."""
    percent: int = Field(default=100, ge=1, le=100)


class DiskFull(_Strict):
    """The file system that holds `path` is filled up."""

    kind: Literal["disk-full"]
    path: str


class Rebooted(_Strict):
    """A planned reboot, as an operator does it."""

    kind: Literal["reboot"]


class ShutDown(_Strict):
    """A clean shutdown; the heal switches the machine on again."""

    kind: Literal["shutdown"]


Fault = Annotated[
    NoFault | ProbesDropped | RowDeleted | PowerCut | MachineFrozen | UnitFrozen | UnitKilled | NetworkCut | DiskFull
    | Rebooted | ShutDown,
    Field(discriminator="kind"),
]  # fmt: skip


class Expectation(_Strict):
    """What must hold in every trial. In a stream's name `*` stands for anything."""

    error_window_s: dict[str, float] = {}
    """Longest error window, upper bound, from the injection to the heal."""
    failback_window_s: dict[str, float] = {}
    """Longest error window, upper bound, from the heal to the end."""
    error_window_between_s: dict[str, tuple[float, float]] = {}
    """For the positive control, where the truth is known: both bounds of the window lie between these two."""
    heals_within_s: float = 180
    """Every stream must succeed again, counted from the injection (liveness L1)."""
    redundant_within_s: float = 300
    """The cloud's own health must be complete again, counted from the heal (liveness L2)."""
    heals_before_the_heal: bool = True
    """Every stream succeeds again while the fault still holds."""
    owner_changes: int = 2
    """How often the VIPs may change hands because of one fault."""
    keeps_sessions: bool = False
    """The long TCP session to the VM must not break."""
    recovers_vms: bool = False
    """The VM must answer again, on another host and while the fault still holds."""
    violates: str = ""
    """For the control that breaks the cloud: the checker that must fail, and no other."""


READ_APIS = ("compute", "network", "volume", "image", "placement")


class Load(_Strict):
    """Operations per second of each workload; 0 leaves it out."""

    tokens: float = 1
    reads: float = 0.5
    """Of each API, at each VIP."""
    acknowledged: float = 1
    servers: float = 0
    """Life cycles of a VM."""
    datapath: float = 20
    """Datagrams to the demo's VM; its long TCP session sends a tenth as often."""
    writer: float = 1
    """How often the counter of the writer in the VM is read."""

    def streams(self) -> dict[str, float]:
        """Rate of each stream, in operations per second. The TCP session sends a tenth as often as datagrams go."""
        reads = {f"read-{api}-{vip}": self.reads for api in READ_APIS for vip in ("external", "internal")}
        return reads | {
            "token": self.tokens,
            "token-use": self.tokens,
            "set-add": self.acknowledged,
            "server-accept": self.servers,
            "server-active": self.servers,
            "server-delete": self.servers,
            "udp": self.datapath,
            "tcp": self.datapath / 10,
            "writer": self.writer,
        }


COARSEST = 2.4
"""Periods of a stream, its jitter included, that one failed operation can make an error window long."""


class Scenario(_Strict):
    """One file in `scenarios/`."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    why: str
    target: TargetRole
    fault: Fault
    load: Load = Load()
    baseline_s: float = 20
    jitter_s: float = 5
    """The injection comes up to this much later, so that it meets every phase of every timer."""
    hold_s: float = 45
    tail_s: float = 15
    """How long the load goes on after the cloud is complete again."""
    trials: int = 5
    needs_guard: bool = False
    expect: Expectation = Expectation()

    @model_validator(mode="after")
    def _can_be_told(self) -> Scenario:
        """A fault needs somebody to hit, and a threshold a stream that is sampled often enough to tell it."""
        if (self.target is TargetRole.NOBODY) is self.hits:
            raise ValueError(f"a fault of kind {self.fault.kind} {'needs' if self.hits else 'has no'} target")
        for limits in (self.expect.error_window_s, self.expect.failback_window_s):
            for pattern, limit_s in limits.items():
                for stream, rate_hz in self.load.streams().items():
                    least_s = COARSEST / rate_hz if rate_hz else 0
                    if fnmatchcase(stream, pattern) and 0 < limit_s < least_s:
                        raise ValueError(f"{stream} is sampled too seldom to tell {limit_s:g} s from {least_s:g} s")
        return self

    @property
    def hits(self) -> bool:
        """Whether the fault hits hosts, and not the probes, a record or nothing."""
        return not isinstance(self.fault, NoFault | ProbesDropped | RowDeleted)

    @property
    def lasts(self) -> bool:
        """Whether the fault stays in force until it is healed."""
        if isinstance(self.fault, UnitKilled):
            return self.fault.keep_down
        return self.hits and not isinstance(self.fault, Rebooted)

    @property
    def digest(self) -> str:
        """Of everything above."""
        return digest_of(self.model_dump(mode="json"))


def digest_of(data: Any) -> str:
    """Of a scenario as it was written down, so that histories stay true when later scenarios can say more."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def parse(data: Any, where: str) -> Scenario:
    """The scenario in `data`. Raises UsageError naming `where` and every key that is wrong."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise UsageError(f"{where} is no scenario:\n" + "\n".join(lines)) from error
