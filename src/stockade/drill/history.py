"""What happened in one trial: one event per line of JSON, appended and never changed. Pure: text in, values out.

Times are nanoseconds of the monotonic clock since the trial began. Operations of users:

- one that only reads, and a datagram, is one event at its end: `ok`, `fail` or `info`;
- one that changes something is written twice, as `invoke` before it is sent and at its end, so that also a drill
  that is killed has on record what may have taken effect.

`ok` must have happened, `fail` must not have, `info` is unknown. A trial begins with an event of kind `run` and is
whole only if it ends with one of kind `end`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

SCHEMA = 1
SECOND_NS = 1_000_000_000


class Kind(StrEnum):
    """What an event is."""

    RUN = "run"
    """The first: scenario, its digest, seed, environment."""
    INVOKE = "invoke"
    """An operation that changes something is about to be sent."""
    OK = "ok"
    """An operation ended and must have happened."""
    FAIL = "fail"
    """An operation ended and must not have happened."""
    INFO = "info"
    """An operation ended and nobody knows."""
    NEMESIS = "nemesis"
    """The fault: `f` is one of `NEMESIS_STEPS`, `value` its evidence."""
    OBSERVE = "observe"
    """Something looked at: `f` says what, `value` what was seen."""
    GUARD = "guard"
    """A decision of the guard: `value` is its sentence."""
    END = "end"
    """The last."""


NEMESIS_STEPS = ("arm", "inject", "confirmed", "still", "heal", "healed", "gave-up")
"""`still`: just before the heal, the fault was seen to be in force; of faults that last until they are healed."""
COMPLETIONS = frozenset({Kind.OK, Kind.FAIL, Kind.INFO})


class HistoryError(ValueError):
    """A history that cannot be read, with the line that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line. Fields that do not apply are None and not written."""

    index: int
    time_ns: int
    kind: Kind
    f: str = ""
    """The stream of an operation, the step of a fault, what was observed."""
    process: str = ""
    """Who: one that ended in `info` never acts again under this name."""
    start_ns: int | None = None
    """Of a completed operation: when it was meant to start, from which its latency counts."""
    lag_ns: int | None = None
    """Of a completed operation: how much later than meant it really started."""
    key: str | None = None
    value: Any = None
    node: str | None = None
    endpoint: str | None = None
    error: str | None = None

    @property
    def latency_ns(self) -> int:
        """From the intended start to the end."""
        return self.time_ns - (self.time_ns if self.start_ns is None else self.start_ns)


_NAMES = tuple(each.name for each in fields(Event))


def encode(event: Event) -> str:
    """The event as one line, without its end."""
    data = {name: value for name in _NAMES if (value := getattr(event, name)) not in (None, "")}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=True)


def decode(line: str, number: int) -> Event:
    """The event in line `number`. Raises HistoryError."""
    try:
        data = json.loads(line)
        return Event(**{**data, "kind": Kind(data["kind"])})
    except (ValueError, TypeError, KeyError) as error:
        raise HistoryError(f"line {number} is no event: {error}") from error


@dataclass(frozen=True)
class History:
    """One trial. `torn` says that the last line was cut off, as a killed drill leaves it."""

    events: tuple[Event, ...]
    torn: bool = False
    header: Mapping[str, Any] = field(default_factory=dict)
    """Value of the `run` event."""

    def kind(self, *kinds: Kind) -> Iterator[Event]:
        """The events of these kinds, in order."""
        return (event for event in self.events if event.kind in kinds)

    def completions(self, stream: str | None = None) -> tuple[Event, ...]:
        """Operations that ended, by intended start; of one stream or of all."""
        found = [each for each in self.kind(*COMPLETIONS) if stream is None or each.f == stream]
        return tuple(sorted(found, key=lambda each: (each.start_ns or 0, each.index)))

    def streams(self) -> tuple[str, ...]:
        """Names of all streams that have an operation, sorted."""
        return tuple(sorted({each.f for each in self.events if each.kind in COMPLETIONS | {Kind.INVOKE}}))

    def observed(self, what: str) -> tuple[Event, ...]:
        """What was seen of `what`, in order."""
        return tuple(each for each in self.kind(Kind.OBSERVE) if each.f == what)

    def step_ns(self, step: str) -> int | None:
        """When the fault first reached `step`; None if it never did."""
        return next((each.time_ns for each in self.kind(Kind.NEMESIS) if each.f == step), None)

    @property
    def end_ns(self) -> int:
        """Time of the last event."""
        return self.events[-1].time_ns if self.events else 0

    @property
    def whole(self) -> bool:
        """True if nothing is missing at the end."""
        return not self.torn and bool(self.events) and self.events[-1].kind is Kind.END


def read(lines: Iterable[str]) -> History:
    """The history in `lines`. A last line that is cut off is left out and noted.

    Raises HistoryError for any other line that is no event, and if the first event is not the run's.
    """
    events: list[Event] = []
    pending: tuple[str, int] | None = None
    for number, line in enumerate(lines, 1):
        if pending:
            events.append(decode(*pending))
        pending = (line, number)
    torn = False
    if pending:
        try:
            events.append(decode(*pending))
        except HistoryError:
            torn = True
    if not events or events[0].kind is not Kind.RUN:
        raise HistoryError("this is no history of a drill: it does not begin with the event of a run")
    header = events[0].value
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise HistoryError(f"this history is not of schema {SCHEMA}: it was written by another version of Stockade")
    return History(tuple(events), torn, header)
