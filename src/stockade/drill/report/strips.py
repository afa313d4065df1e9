"""The timeline of a trial: a strip for each stream, an operation being a mark at its intended start. Pure.

What became of an operation shows in its colour and also in where in the strip it stands and in its shape: good ones
low, slow ones higher, unknown ones a ring, failed ones a bar from above. A stream with many operations per second
is shown as shares of each second instead, stacked in the same order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from stockade.drill.history import SECOND_NS, Event, History, Kind
from stockade.drill.metrics import Operation
from stockade.drill.report import svg
from stockade.drill.report.facts import TrialFacts, upper_s
from stockade.drill.report.marks import Mark, axis, band, marks, numbered
from stockade.drill.report.text import escape, plural, seconds
from stockade.drill.verdict import StreamFigures

NAME, STRIP = 16, 20
"""Pixels for a strip's name and for the strip."""
ROW = NAME + STRIP + 2
SLOW = 3.0
"""Times the baseline's p95 from which an operation is slow."""
DENSE, MANY = 5.0, 450
"""Operations per second, and operations in all, from which a stream is shown as shares of each second."""
FIRST = ("token", "set-add", "server", "read", "writer", "tcp", "udp")
"""Streams in the order in which a reader wants them."""


class Look(StrEnum):
    """How an operation is drawn."""

    OK = "ok"
    SLOW = "slow"
    INFO = "info"
    FAIL = "fail"


def look(operation: Operation, slow_ms: float | None) -> Look:
    """How an operation is drawn; slow is one that succeeded after more than `slow_ms`."""
    if not operation.ok:
        return Look.FAIL if operation.kind is Kind.FAIL else Look.INFO
    return Look.SLOW if slow_ms is not None and operation.latency_ns / 1e6 > slow_ms else Look.OK


def slow_ms(figures: StreamFigures | None) -> float | None:
    """From which latency an operation of this stream is slow."""
    return None if figures is None or figures.baseline_p95_ms is None else SLOW * figures.baseline_p95_ms


def order(stream: str) -> tuple[int, str]:
    """Where a stream stands among the others."""
    return next((place for place, name in enumerate(FIRST) if stream.startswith(name)), len(FIRST)), stream


def timeline(facts: TrialFacts, scale: svg.Scale, about: str) -> str:
    """All strips above one another, with the fault's band, and what else happened as numbered marks."""
    by_name = {each.stream: each for each in facts.judgement.streams}
    names = sorted({*facts.operations, *by_name}, key=order)
    happened = marks(facts)
    drawn, said = [], []
    for row, name in enumerate(names):
        done, figures = facts.operations.get(name, ()), by_name.get(name)
        within = [each for each in done if scale.reaches(each.start_ns / SECOND_NS)]
        drawn.append(_strip(within, slow_ms(figures), scale, row * ROW + NAME, facts.zero_s))
        said.append(_heading(row, name, _tally(done, figures)))
    if health := facts.trial.history.observed("health"):
        drawn.append(_health(health, facts.trial.history, scale, len(names) * ROW + NAME))
        said.append(_heading(len(names), "cloud's own health", "high: not complete"))
    height = len(said) * ROW + 2
    drawing = band(facts, scale, height) + _lines(happened, scale, height) + "".join(drawn)
    title = f"Trial {facts.judgement.trial}, {about}: every operation of {plural(len(names), 'stream')} over time"
    return svg.figure(
        title, drawing, height, xs=axis(scale, facts.zero_s), over="".join(said), above=numbered(happened, scale)
    )


def _heading(row: int, name: str, said: str) -> str:
    return f'<div class="strip" style="top:{row * ROW}px"><b>{escape(name)}</b><span>{escape(said)}</span></div>'


def _tally(done: Sequence[Operation], figures: StreamFigures | None) -> str:
    """What a reader would otherwise count in the strip."""
    bad = sum(not each.ok for each in done)
    if not done:
        return "nothing was offered"
    if not bad:
        return f"all {len(done)} succeeded"
    window = figures.out if figures else None
    longest = f", {seconds(upper_s(window), 'no end')}" if window else ""
    return f"{bad} of {len(done)} failed{longest}"


def _strip(done: Sequence[Operation], slow_from_ms: float | None, scale: svg.Scale, top: float, zero_s: float) -> str:
    base = svg.path([f"M0 {svg.number(top + STRIP)}h{svg.WIDTH}"], "base")
    if len(done) > max(MANY, DENSE * (scale.high - scale.low)):
        return base + _shares(done, slow_from_ms, scale, top, zero_s)
    places: dict[Look, dict[float, None]] = {each: {} for each in Look}
    for each in done:
        places[look(each, slow_from_ms)][round(scale(each.start_ns / SECOND_NS), 1)] = None
    shapes = {
        Look.OK: lambda x: svg.upright(x, top + 13, 7),
        Look.SLOW: lambda x: svg.upright(x, top + 8, 12),
        Look.INFO: lambda x: svg.dot(x, top + 5),
        Look.FAIL: lambda x: svg.upright(x, top, 11),
    }
    drawn = (svg.path(map(shapes[each], places[each]), f"t-{each}") for each in Look)
    return base + "".join(drawn) + svg.path(map(shapes[Look.INFO], places[Look.INFO]), "hole")


def _shares(done: Iterable[Operation], slow_from_ms: float | None, scale: svg.Scale, top: float, zero_s: float) -> str:
    """The shares of each second that were good, slow, unknown and failed, stacked from below.

    Seconds are counted from `zero_s`, so that none holds operations from before and from after the injection.
    """
    bins: dict[int, list[Look]] = defaultdict(list)
    for each in done:
        bins[math.floor(each.start_ns / SECOND_NS - zero_s)].append(look(each, slow_from_ms))
    shares = [(second, _stack(looks)) for second, looks in sorted(bins.items())]
    drawn: dict[Look, list[str]] = {each: [] for each in Look}
    # Neighbours that are alike are one box; the difference between second and place is the same within a run.
    for (_run, stack), group in groupby(enumerate(shares), key=lambda each: (each[1][0] - each[0], each[1][1])):
        run = [each[1][0] for each in group]
        left, right = scale(run[0] + zero_s), scale(run[-1] + 1 + zero_s)
        for kind, (low, high) in zip(Look, stack, strict=True):
            if high > low:
                drawn[kind].append(svg.box(left, top + STRIP - high, right - left, high - low))
    return "".join(svg.path(drawn[kind], f"s-{kind}") for kind in Look)


def _stack(looks: Sequence[Look]) -> tuple[tuple[float, float], ...]:
    """From where to where each look reaches, in pixels above the strip's foot. One operation is never invisible."""
    bounds, foot = [], 0.0
    for kind in reversed(Look):
        share = looks.count(kind) * STRIP / len(looks)
        part = min(STRIP - foot, max(share, 2.0)) if share and kind is not Look.OK else share
        bounds.append(part)
        foot += part
    bounds[-1] = max(0.0, STRIP - sum(bounds[:-1])) if Look.OK in looks else 0.0
    heights, stacked, foot = bounds[::-1], [], 0.0
    for part in heights:
        stacked.append((round(foot, 1), round(foot + part, 1)))
        foot += part
    return tuple(stacked)


def _health(seen: Sequence[Event], history: History, scale: svg.Scale, top: float) -> str:
    """A low bar while the cloud calls itself complete, a high one while it does not."""
    ends = [each.time_ns for each in seen[1:]] + [history.end_ns]
    drawn: dict[bool, list[str]] = {True: [], False: []}
    for event, end in zip(seen, ends, strict=True):
        left, right = scale(event.time_ns / SECOND_NS), scale(end / SECOND_NS)
        if right <= left:
            continue
        good = healthy(event.value)
        height = 7 if good else STRIP
        drawn[good].append(svg.box(left, top + STRIP - height, right - left, height))
    return svg.path(drawn[True], "s-good") + svg.path(drawn[False], "s-poor")


def healthy(value: object) -> bool:
    """What `status` said."""
    return isinstance(value, dict) and value.get("healthy") is True


def _lines(happened: Iterable[Mark], scale: svg.Scale, height: float) -> str:
    """A line down through all strips for each mark."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for each in happened:
        if scale.reaches(each.at_s):
            by_kind[each.kind].append(svg.upright(scale(each.at_s), 0, height))
    return "".join(svg.path(lines, f"l-{kind}") for kind, lines in sorted(by_kind.items()))
