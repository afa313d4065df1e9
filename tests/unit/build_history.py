"""Histories of trials that never were: the tests of the judging stand on these."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from stockade.drill.history import SCHEMA, SECOND_NS, Event, History, Kind, encode, read
from stockade.drill.scenario import Scenario, parse

CONTROLLERS = ("ctl1", "ctl2", "ctl3")
INJECT, HEAL, END = 20.0, 65.0, 100.0


def ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)


def scenario(**changes: Any) -> Scenario:
    """One that expects nothing in particular."""
    data = {
        "name": "test",
        "title": "A test",
        "why": "to test",
        "target": "nobody",
        "fault": {"kind": "none"},
        "load": {"tokens": 1, "reads": 0, "acknowledged": 1, "datapath": 0, "writer": 1},
    }
    return parse({**data, **changes}, "the test's scenario")


class Trial:
    """Events in any order; `history` sorts and numbers them."""

    def __init__(self, **changes: Any) -> None:
        self.scenario = scenario(**changes)
        self.header: dict[str, Any] = {
            "schema": SCHEMA,
            "run": "test",
            "scenario": self.scenario.model_dump(mode="json"),
            "digest": self.scenario.digest,
            "seed": 7,
            "trial": 3,
        }
        self.events: list[Event] = []
        self.ends_at: float | None = END

    def add(self, kind: Kind, at_s: float, f: str, **fields: Any) -> Trial:
        self.events.append(Event(index=0, time_ns=ns(at_s), kind=kind, f=f, **fields))
        return self

    def op(
        self,
        stream: str,
        at_s: float,
        took_s: float = 0.05,
        kind: str = "ok",
        *,
        lag_s: float = 0.0,
        key: str | None = None,
        value: Any = None,
        ends: bool = True,
    ) -> Trial:
        """One operation; a record of the set is written twice, as every write is."""
        if stream == "set-add":
            self.add(Kind.INVOKE, at_s + lag_s, stream, key=key)
        if ends:
            start, lag = ns(at_s), ns(lag_s)
            self.add(Kind(kind), at_s + took_s, stream, start_ns=start, lag_ns=lag, key=key, value=value)
        return self

    def ops(
        self,
        stream: str,
        *,
        rate: float = 1,
        first: float = 0.5,
        end: float = END - 2,
        failing: Iterable[tuple[float, float]] = (),
        kind: str = "fail",
        took_s: float = 0.05,
    ) -> Trial:
        """A periodic stream; what is meant to start in one of the half-open intervals `failing` does."""
        failing = tuple(failing)
        for number in range(round((end - first) * rate)):
            at = first + number / rate
            bad = any(start <= at < stop for start, stop in failing)
            self.op(stream, at, took_s, kind if bad else "ok")
        return self

    def step(self, name: str, at_s: float) -> Trial:
        return self.add(Kind.NEMESIS, at_s, name)

    def fault(self, inject: float | None = INJECT, heal: float | None = HEAL, *, confirmed: bool = True) -> Trial:
        if inject is not None:
            self.step("arm", inject - 1).step("inject", inject)
            if confirmed:
                self.step("confirmed", inject + 1)
        if heal is not None:
            self.step("heal", heal).step("healed", heal + 2)
        return self

    def see(self, what: str, at_s: float = END - 1, **fields: Any) -> Trial:
        return self.add(Kind.OBSERVE, at_s, what, **fields)

    def load(self, rates: dict[str, float], end: float | None = END - 1) -> Trial:
        streams = {name: {"rate": rate, "timeout_s": 10, "writes": False} for name, rate in rates.items()}
        self.see("load", 0.1, key="begin", value={"streams": streams})
        return self if end is None else self.see("load", end, key="end")

    def record(self, name: str, at_s: float, kind: str = "ok", *, on: Collection[str] = (), ends: bool = True) -> Trial:
        """A record of the acknowledged set, and on which controllers it is at the end."""
        self.op("set-add", at_s, kind=kind, key=name, ends=ends)
        self.present(name, on)
        return self

    def present(self, name: str, on: Collection[str]) -> Trial:
        self.events = [
            replace(each, value=[*each.value, name]) if each.f == "set-read" and each.node in on else each
            for each in self.events
        ]
        return self

    def set_reads(self, nodes: Collection[str] = CONTROLLERS) -> Trial:
        """Empty lists, which `record` then fills."""
        for node in nodes:
            self.see("set-read", node=node, value=[])
        return self

    def writer(self, at_s: float, last: int, *, boot: str = "a", first: int = 1, took_s: float = 0.05,
               state: str = "writing") -> Trial:  # fmt: skip
        value = {"last": last, "first": first, "boot": boot, "uptime_s": at_s, "state": state}
        return self.op("writer", at_s, took_s, value=value)

    def volume(self, last: int, problems: Iterable[str] = ()) -> Trial:
        return self.see("volume", value={"last": last, "problems": list(problems), "boots": ["a"]})

    def galera(self, node: str, *, cluster: str = "c", state: str = "Synced", seqno: int = 900, size: int = 3) -> Trial:
        return self.see("galera", node=node, value={"cluster": cluster, "state": state, "seqno": seqno, "size": size})

    def owner(self, vip: str, at_s: float, mac: str) -> Trial:
        return self.see("vip-owner", at_s, key=vip, value=mac)

    def health(self, at_s: float, *wrong: str) -> Trial:
        return self.see("health", at_s, value={"healthy": not wrong, "wrong": list(wrong)})

    def without(self, what: str) -> Trial:
        """All the same, but nothing called `what`: a stream, a step, an observation."""
        self.events = [each for each in self.events if each.f != what]
        return self

    def text(self) -> str:
        events = [Event(index=0, time_ns=0, kind=Kind.RUN, value=self.header)]
        events += sorted(self.events, key=lambda each: each.time_ns)
        if self.ends_at is not None:
            events.append(Event(index=0, time_ns=ns(self.ends_at), kind=Kind.END))
        lines = (encode(replace(each, index=index)) for index, each in enumerate(events))
        return "".join(f"{line}\n" for line in lines)

    def history(self) -> History:
        return read(self.text().splitlines())


def good(*, failing: Iterable[tuple[float, float]] = ((21, 24),), **changes: Any) -> Trial:
    """A trial in which a stream fails for a while, every checker has what it needs, and all is well."""
    made = Trial(**changes).fault().load({"token": 1, "set-add": 0.1, "writer": 1}).ops("token", failing=failing)
    made.set_reads()
    for number in range(10):
        made.record(f"r{number}", 1 + number * 9, on=CONTROLLERS)
    made.record("r-info", 22, "info").record("r-fail", 23, "fail")
    for number in range(95):
        made.writer(number + 0.7, 10 + 2 * number)
    made.volume(230)
    for node in CONTROLLERS:
        made.galera(node)
    for vip in ("internal", "external"):
        made.owner(vip, 0.2, "02:01").owner(vip, 22, "02:02")
        made.see("vip-holders", key=vip, value=["ctl2"])
    return made.health(66, "a member is missing").health(80).see("target", 20, value={"hosts": ["ctl1"]})
