"""V1: was the run meaningful? Whatever is wrong with the run itself makes it prove nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from stockade.drill.checkers.case import Case, Outcome, combined
from stockade.drill.history import SECOND_NS
from stockade.drill.scenario import TargetRole, digest_of
from stockade.drill.verdict import Verdict

LAG_MAX_MS = 500
"""How late the probes may be, 99th percentile, before a trial proves nothing. It is this much because a lab's hosts
share the cores of the computer that probes, and it is half of the bin in which an API's availability is told. A late
probe makes latencies longer, never shorter: they count from when it was due."""


OFFERED_MIN = 0.5
"""Share of the promised operations that must have been offered since the injection."""


PROMISED_MIN = 20
"""Promised operations from which that share is told: of a few, one more or less is too large a part."""


RARE = 2
"""Promised operations of a VM's life below which a phase may well have none."""


def meaningful(case: Case) -> list[Outcome]:
    """V1: whatever is wrong with the run itself makes it prove nothing; it is never the cloud's fault."""
    problems = [*_record_problems(case), *_fault_problems(case), *_stream_problems(case)]
    good = "the record is whole, every stream worked before the fault, and the fault took effect"
    return [combined([(Verdict.UNKNOWN, each) for each in problems] or [(Verdict.PASS, good)], good)]


def _record_problems(case: Case) -> Iterator[str]:
    if any(each.index != number for number, each in enumerate(case.history.events)):
        yield "lines are missing from the history, or in another order"
    if not case.history.whole:
        yield "the history has no end: the drill did not finish"
    if case.history.header.get("digest") != digest_of(case.history.header.get("scenario")):
        yield "the scenario in the history is not the one whose digest it has"
    keys = {each.key for each in case.history.observed("load")}
    if "begin" not in keys:
        yield "the load never began"
    elif not case.promised:
        yield "the load promised no stream"
    if "end" not in keys:
        yield "the load did not end by itself"


def _fault_problems(case: Case) -> Iterator[str]:
    if case.span.inject_ns is None:
        yield "no fault was injected"
    elif case.history.step_ns("confirmed") is None:
        yield "nobody saw the fault take effect"
    if case.history.step_ns("gave-up") is not None:
        yield "the drill gave up"
    for each in case.history.observed("trouble"):
        yield f"the drill had trouble: {each.error}"
    if case.scenario.lasts and case.span.inject_ns is not None and case.history.step_ns("still") is None:
        yield "nobody saw that the fault was still in force when it was healed"
    if case.scenario.target is TargetRole.EVERYTHING:
        yield from _scattered(case)


def _scattered(case: Case) -> Iterator[str]:
    """Roles that were not on the host that was hit, where all of them should have been."""
    seen = case.history.observed("target")
    value = seen[-1].value if seen and isinstance(seen[-1].value, dict) else {}
    if not value.get("roles"):
        yield "nobody looked who had which role"
    for role, hosts in value.get("roles", {}).items():
        if hosts != value.get("hosts"):
            yield f"{role} was on {', '.join(hosts) or 'no host'} and not on the host that was hit"


def _stream_problems(case: Case) -> Iterator[str]:
    for stream in case.promised:
        done = case.operations.get(stream, ())
        if not any(each.ok and case.span.before_fault(each) for each in done) and not _rare(case, stream, fault=False):
            yield f"{stream} had no success before the fault"
        due = _due(case, stream, fault=True)
        offered = sum(case.span.since_fault(each) for each in done)
        if due >= PROMISED_MIN and offered < OFFERED_MIN * due:
            yield f"{stream} was offered {offered} times since the injection, and {due:.0f} were promised"
    for figure in case.figures:
        if figure.lag_p99_ms is not None and figure.lag_p99_ms > LAG_MAX_MS:
            yield f"{figure.stream}: the probe was {figure.lag_p99_ms:.0f} ms late, allowed are {LAG_MAX_MS} ms"


def _due(case: Case, stream: str, *, fault: bool) -> float:
    """How many operations were promised before the injection or, with `fault`, since.

    The promise ends with the last operation of any promised stream. The load's own end comes later: it waits for what
    is under way, and offers nothing meanwhile.
    """
    last = max((each.start_ns for name in case.promised for each in case.operations.get(name, ())), default=0)
    inject = last if case.span.inject_ns is None else case.span.inject_ns
    length = last - inject if fault else inject - case.span.begin_ns
    return case.promised.get(stream, 0) * max(0, length) / SECOND_NS


def _rare(case: Case, stream: str, *, fault: bool) -> bool:
    """It is a VM's life, of which so few were due that there may have been none."""
    return stream.startswith("server-") and _due(case, stream, fault=fault) < RARE
