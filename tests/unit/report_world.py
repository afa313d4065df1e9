"""Histories of trials that never were, for the report: what users saw is given, everything around it made up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from stockade.drill.history import SCHEMA, SECOND_NS, Event, History, Kind
from stockade.drill.judge import judge
from stockade.drill.report.model import Campaign, Trial
from stockade.drill.scenario import Scenario, parse

APIS = ("keystone", "glance", "neutron", "nova", "cinder")
RATES = {
    "token": 1.0, "token-use": 1.0, "set-add": 1.0, "tcp": 2.0, "udp": 20.0, "writer": 1.0,
    **{f"read-{api}-{vip}": 0.5 for api in APIS for vip in ("external", "internal")},
}  # fmt: skip
FEW = {name: RATES[name] for name in ("token", "token-use", "set-add", "tcp", "udp", "writer")} | {
    name: RATES[name] for name in ("read-nova-external", "read-nova-internal")
}
CONTROLLERS = ("ctl1", "ctl2", "ctl3")
ENVIRONMENT = {
    "stockade": "0.1.0, commit 957af7e",
    "topology": {"controllers": list(CONTROLLERS), "computes": ["cmp1", "cmp2"], "machines": "lab, emulated"},
    "packages": {"keystone-api": "2:27.0.0-1", "mariadb-server": "1:11.8.3-0+deb13u1", "rabbitmq-server": "4.0.5-8",
                 "haproxy": "3.0.11-1+deb13u1", "keepalived": "1:2.3.3-1", "openvswitch-switch": "3.5.0-1"},
    "timers": {"vrrp_advert_s": "0.5", "haproxy_inter_ms": "1000", "galera_suspect_s": "3"},
}  # fmt: skip


@dataclass(frozen=True)
class Course:
    """What happens in a trial, in seconds since it began; `outages` are by the beginning of a stream's name."""

    inject: float | None = 24.3
    confirmed: float | None = 1.4
    hold: float = 45.0
    heal: float = 17.0
    complete: float | None = 38.0
    length: float = 150.0
    outages: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Begin and length, since the injection."""
    back: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Begin and length, since the heal."""
    error: str = "timed out after 5 s"
    lost: int = 0
    guard: tuple[tuple[float, str], ...] = ()
    killed: bool = False
    streams: dict[str, float] = field(default_factory=lambda: RATES)
    environment: dict[str, Any] = field(default_factory=lambda: ENVIRONMENT)


def scenario(name: str, title: str, **more: Any) -> Scenario:
    base = {
        "name": name, "title": title, "target": "vip-holder", "fault": {"kind": "power-cut"},
        "why": "A controller that loses power takes the VIP, a member of the database and of the queues with it.",
        "expect": {"error_window_s": {"token*": 12, "read-*": 14, "set-add": 12, "udp": 6, "tcp": 6}},
    }  # fmt: skip
    return parse({**base, **more}, "a test")


class Maker:
    """Makes one history."""

    def __init__(self, plan: Scenario, course: Course, trial: int, seed: int) -> None:
        self.plan, self.course, self.trial, self.seed = plan, course, trial, seed
        self.random = random.Random(seed)
        self.events: list[tuple[int, Kind, dict[str, Any]]] = []
        self.acknowledged: list[str] = []

    def add(self, at_s: float, kind: Kind, **more: Any) -> None:
        self.events.append((round(at_s * SECOND_NS), kind, more))

    def make(self) -> History:
        course = self.course
        header = {"schema": SCHEMA, "scenario": self.plan.model_dump(mode="json"), "digest": self.plan.digest,
                  "seed": self.seed, "trial": self.trial, "environment": course.environment}  # fmt: skip
        streams = {name: {"rate": rate} for name, rate in course.streams.items()}
        self.add(0.2, Kind.OBSERVE, f="load", key="begin", value={"streams": streams})
        for name, rate in course.streams.items():
            self.operations(name, rate)
        self.fault()
        self.end()
        self.events.sort(key=lambda each: each[0])
        rows = [(0, Kind.RUN, {"value": header}), *self.events]
        rows += [] if course.killed else [(round(course.length * SECOND_NS), Kind.END, {})]
        events = tuple(Event(index=index, time_ns=at, kind=kind, **more) for index, (at, kind, more) in enumerate(rows))
        return History(events, course.killed, header)

    def out(self, name: str, at: float) -> bool:
        course, inject = self.course, self.course.inject
        if inject is None:
            return False
        found = [(inject + begin, length) for key, (begin, length) in course.outages.items() if name.startswith(key)]
        heal = inject + course.hold
        found += [(heal + begin, length) for key, (begin, length) in course.back.items() if name.startswith(key)]
        return any(begin <= at < begin + length for begin, length in found)

    def operations(self, name: str, rate: float) -> None:
        at, number = 1.0, 0
        while (at := at + self.random.uniform(0.85, 1.15) / rate) < self.course.length - 8:
            number += 1
            self.operation(name, at, number)

    def operation(self, name: str, at: float, number: int) -> None:
        start, lag = round(at * SECOND_NS), round(self.random.expovariate(1 / 0.002) * SECOND_NS)
        path = name in ("udp", "tcp", "writer")
        took = self.random.lognormvariate(-6 if path else -2.2 if name == "set-add" else -3, 0.35)
        key = f"{name}-{number}" if name == "set-add" else None
        endpoint = "198.51.100.20" if path else "internal" if name.endswith(("internal", "use")) else "external"
        kind, error, value = Kind.OK, None, None
        if self.out(name, at):
            kind = Kind.INFO if key and number % 2 else Kind.FAIL
            error, took = self.course.error, 5.0 if number % 3 else 0.02
        elif self.out(name, at - 4):
            took *= 6
        if name == "writer" and kind is Kind.OK:
            value = {"boot": "b1", "last": number, "first": 1, "state": "writing"}
        if key:
            self.add(at, Kind.INVOKE, f=name, process=f"p{number}", key=key)
        if key and kind is Kind.OK:
            self.acknowledged.append(key)
        self.add(at + took, kind, f=name, process=f"p{number}", start_ns=start, lag_ns=lag, key=key, value=value,
                 error=error, endpoint=endpoint)  # fmt: skip

    def fault(self) -> None:
        course = self.course
        for name in ("internal", "external"):
            self.add(0.4, Kind.OBSERVE, f="vip-owner", key=name, value="52:54:00:00:00:0b")
        if course.inject is None:
            return
        at = course.inject
        hosts = {"hosts": ["ctl1"], "roles": {"vip-holder": ["ctl1"], "database-writer": ["ctl2"]}}
        self.add(at - 2, Kind.OBSERVE, f="target", value=hosts)
        self.add(at - 1, Kind.NEMESIS, f="arm", value="power on ctl1")
        self.add(at, Kind.NEMESIS, f="inject", value="BMC off")
        if course.confirmed is not None:
            self.add(at + course.confirmed, Kind.NEMESIS, f="confirmed", value="BMC read back off")
            self.add(at + course.hold - 0.2, Kind.NEMESIS, f="still", value="BMC read back off")
        if course.outages:
            for name in ("internal", "external"):
                self.add(at + 1.9, Kind.OBSERVE, f="vip-owner", key=name, value="52:54:00:00:00:0c")
        for after, sentence in course.guard:
            self.add(at + after, Kind.GUARD, node="ctl2", value=sentence)
        self.add(at + course.hold, Kind.NEMESIS, f="heal", value="power on")
        self.add(at + course.hold + course.heal, Kind.NEMESIS, f="healed", value="the shell answers")
        self.health(at + course.hold)

    def health(self, heal: float) -> None:
        for after in range(2, round(self.course.length - 12 - heal), 3):
            good = self.course.complete is not None and after >= self.course.complete
            wrong = [] if good else ["Database (Galera)", "Messaging (RabbitMQ)"]
            self.add(heal + after, Kind.OBSERVE, f="health", value={"healthy": good, "wrong": wrong})

    def end(self) -> None:
        late = self.course.length - 2
        if self.course.killed:
            return
        self.add(late - 2, Kind.OBSERVE, f="load", key="end")
        there = [f"set-add-{n}" for n in range(1, 10_000)]
        keys = [key for key in there if key in set(self.acknowledged)]
        for number, node in enumerate(CONTROLLERS):
            self.add(late, Kind.OBSERVE, f="set-read", node=node, value=keys[self.course.lost if number == 2 else 0 :])
            galera = {"state": "Synced", "size": 3, "cluster": "c", "seqno": 4000 + number}
            self.add(late, Kind.OBSERVE, f="galera", node=node, value=galera)
        for name in ("internal", "external"):
            self.add(late, Kind.OBSERVE, f="vip-holders", key=name, value=["ctl2"])
        self.add(late, Kind.OBSERVE, f="volume", value={"last": 9999, "problems": []})


def trial(plan: Scenario, course: Course, number: int = 1, seed: int | None = None) -> Trial:
    history = Maker(plan, course, number, 1000 + number if seed is None else seed).make()
    return Trial(history, judge(history), f"{plan.name}-{number}.jsonl")


def campaign(plan: Scenario, *courses: Course) -> Campaign:
    return Campaign(plan, tuple(trial(plan, course, number) for number, course in enumerate(courses, 1)))


def outage(length: float, **more: Any) -> Course:
    """Everything fails for about `length` seconds after the injection, the data path a little shorter."""
    streams = {"token": (0.8, length), "set-add": (0.9, length), "read": (0.7, length), "udp": (0.2, length * 0.6)}
    return Course(outages={**streams, "tcp": (0.2, length * 0.6), "writer": (0.2, length * 0.6)}, **more)


GUARD = (
    (3.1, "suspect ctl1: no heartbeat for 3 s, neighbours agree"),
    (4.0, "declared ctl1 dead"),
    (4.2, "fence ctl1: BMC off"),
    (5.0, "fence of ctl1 confirmed by its power state"),
)


def everything() -> tuple[Campaign, ...]:
    """Four scenarios: good, without a fault, failed, and one of which nobody knows."""
    null = scenario("null", "No fault at all", fault={"kind": "none"}, target="nobody",
                    why="An instrument that finds outages where there are none proves nothing.",
                    expect={"error_window_s": {"*": 0}})  # fmt: skip
    frozen = scenario("keystone-frozen", "Identity service frozen on the VIP holder",
                      fault={"kind": "unit-frozen", "unit": "keystone.service"})  # fmt: skip
    cut = scenario("management-cut", "Management network of one controller cut",
                   fault={"kind": "network-cut", "planes": ["management"]})  # fmt: skip
    power = scenario("controller-power-cut", "Power cut of the controller that holds the VIP and takes the writes")
    return (
        campaign(power, *(outage(3 + each * 0.9, guard=GUARD, back={"token": (8, 1.5)}) for each in range(5))),
        campaign(null, *(Course(complete=3.0, hold=30) for _each in range(3))),
        campaign(
            frozen, outage(3.5), outage(31.0, lost=2), Course(outages={"token": (1, 70), "read-keystone": (1, 200)})
        ),
        campaign(cut, outage(4.0, confirmed=None), outage(4.0, killed=True)),
    )
