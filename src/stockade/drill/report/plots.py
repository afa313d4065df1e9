"""Latency and rate of a trial over time. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from stockade.drill.history import SECOND_NS
from stockade.drill.metrics import Operation
from stockade.drill.report import svg
from stockade.drill.report.facts import TrialFacts
from stockade.drill.report.marks import axis, band, time_scale
from stockade.drill.report.strips import Look, look, slow_ms
from stockade.drill.report.text import plural

LATENCY, RATE = 190, 110
"""Heights in pixels."""
LOW_MS, HIGH_MS = 1.0, 10_000.0
"""The range of latencies that is shown at least."""
DATA_PATH = frozenset({"udp", "tcp", "writer"})
"""Streams through the demo's VM; all others are requests to the APIs."""


def requests(facts: TrialFacts) -> dict[str, Sequence[Operation]]:
    """Operations of the streams that ask the APIs for something."""
    return {name: done for name, done in facts.operations.items() if name not in DATA_PATH}


def latency(facts: TrialFacts) -> str:
    """Every request as a point: when it was meant to start, and how long it took; nothing without requests."""
    found, scale = requests(facts), time_scale(facts)
    by_name = {each.stream: each for each in facts.judgement.streams}
    every = [max(each.latency_ns / 1e6, 0.1) for done in found.values() for each in done]
    if not every:
        return ""
    low, high = _decade(min(*every, LOW_MS)), max(HIGH_MS, max(every) * 1.2)
    up = svg.Scale(low, high, LATENCY, 0, log=True)
    places: dict[Look, dict[tuple[int, int], None]] = {each: {} for each in Look}
    for name, done in found.items():
        bar = slow_ms(by_name.get(name))
        for each in done:
            # On whole pixels, so that points on one another are drawn once.
            place = round(scale(each.start_ns / SECOND_NS)), round(up(max(each.latency_ns / 1e6, low)))
            places[look(each, bar)][place] = None
    shapes = {Look.OK: svg.dot, Look.SLOW: svg.dot, Look.INFO: svg.dot, Look.FAIL: svg.cross}
    grid = svg.powers(low, high)
    drawing = band(facts, scale, LATENCY) + "".join(svg.across(up(each)) for each in grid)
    drawing += "".join(svg.path((shapes[each](*at) for at in places[each]), f"p-{each}") for each in Look)
    drawing += svg.path((svg.dot(*at) for at in places[Look.INFO]), "hole")
    title = f"Trial {facts.judgement.trial}: latency of {plural(len(every), 'request')} over time, on a log scale"
    ys = [svg.Label(_from_top(up, each), _latency(each)) for each in grid]
    return svg.figure(title, drawing, LATENCY, xs=axis(scale, facts.zero_s), ys=ys)


def rate(facts: TrialFacts) -> str:
    """Requests per second: those that succeeded upwards, all others downwards; nothing without requests."""
    done = [each for stream in requests(facts).values() for each in stream]
    if not done:
        return ""
    scale = time_scale(facts)
    zero = facts.zero_s
    good = Counter(math.floor(each.start_ns / SECOND_NS - zero) + zero for each in done if each.ok)
    bad = Counter(math.floor(each.start_ns / SECOND_NS - zero) + zero for each in done if not each.ok)
    top, bottom = max(good.values(), default=1), max(bad.values(), default=0)
    up = svg.Scale(-max(bottom, top * 0.15), top, RATE, 0)
    foot = up(0)
    above = [
        svg.box(scale(at), up(count), scale(at + 1) - scale(at), foot - up(count)) for at, count in sorted(good.items())
    ]
    below = [
        svg.box(scale(at), foot, scale(at + 1) - scale(at), up(-count) - foot) for at, count in sorted(bad.items())
    ]
    drawing = band(facts, scale, RATE) + svg.path(above, "s-ok") + svg.path(below, "s-fail") + svg.across(foot, "base")
    marked = [top, 0] + ([-bottom] if bottom else [])
    ys = [
        svg.Label(_from_top(up, each), f"{abs(each)} {'failed' if each < 0 else 'ok'}" if each else "0")
        for each in marked
    ]
    title = (
        f"Trial {facts.judgement.trial}: requests per second that succeeded, above the line, and that did not, below"
    )
    return svg.figure(title, drawing, RATE, xs=axis(scale, facts.zero_s), ys=ys)


def _from_top(up: svg.Scale, value: float) -> float:
    return 1 - up.share(value)


def _decade(value_ms: float) -> float:
    """The power of ten at or below `value_ms`."""
    return float(10.0 ** math.floor(math.log10(value_ms)))


def _latency(value_ms: float) -> str:
    return f"{value_ms:g} ms" if value_ms < 1000 else f"{value_ms / 1000:g} s"
