"""How long trials took to heal: the Kaplan-Meier curve of a scenario. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.drill.report import svg
from stockade.drill.report.facts import CampaignFacts, Recovery
from stockade.drill.report.text import escape, plural, seconds
from stockade.drill.statistics import kaplan_meier

CURVE, LANE = 170, 9
"""Pixels of the curve, and of each lane of points below it."""
LANES = 5
APART = 0.03


def curve(facts: CampaignFacts) -> str:
    """The share of trials not yet healed against seconds since the injection, with every trial as a point."""
    found = [(each.judgement.trial, each.recovery) for each in facts.measured if each.recovery]
    if not found:
        return "<p>No trial in which a fault was seen to take effect: there is no curve.</p>"
    times = [each for _trial, each in found]
    right = max(max(each.at_s for each in times) * 1.08, 1.0)
    x, y = svg.Scale(0, right), svg.Scale(0, 1, CURVE, 8)
    lanes = _lanes(times, x)
    height = CURVE + 8 + LANE * (max(lanes) + 1)
    drawing = "".join(svg.across(y(share)) for share in (0, 0.5, 1)) + _steps(times, x, y, right)
    for healed, shape, kind in ((True, svg.dot, "k-healed"), (False, svg.cross, "k-censored")):
        points = [
            shape(x(each.at_s), CURVE + 8 + LANE * lane + LANE / 2)
            for each, lane in zip(times, lanes, strict=True)
            if each.healed is healed
        ]
        drawing += svg.path(points, kind)
    title = f"Share of {plural(len(times), 'trial')} not yet healed against seconds since the injection"
    ys = [svg.Label(y(share) / height, f"{share * 100:.0f} %") for share in (0, 0.5, 1)]
    shown = svg.ticks(0, right)
    xs = [svg.Label(x.share(each), f"{each:g} s" if each == shown[-1] else f"{each:g}") for each in shown]
    return f"<figure>{svg.figure(title, drawing, height, xs=xs, ys=ys)}{_caption(found, facts)}</figure>"


def _steps(times: Sequence[Recovery], x: svg.Scale, y: svg.Scale, right: float) -> str:
    """The curve, and a mark on it where a trial was last seen not to have healed."""
    steps = kaplan_meier((each.at_s, each.healed) for each in times)
    drawn = [f"M0 {svg.number(y(1))}"]
    drawn += [f"H{svg.number(x(at))}V{svg.number(y(share))}" for at, share in steps]
    last = max(each.at_s for each in times) if steps[-1][1] > 0 else right
    drawn.append(f"H{svg.number(x(last))}")
    censored = [each.at_s for each in times if not each.healed]
    shares = [next(share for at, share in reversed(steps) if at <= each) for each in censored]
    ticks = [svg.upright(x(at), y(share) - 7, 14) for at, share in zip(censored, shares, strict=True)]
    return svg.path(drawn, "k-curve") + svg.path(ticks, "k-seen")


def _lanes(times: Sequence[Recovery], x: svg.Scale) -> list[int]:
    """The lane of each point below the curve, so that trials of the same time lie below one another."""
    placed: list[list[float]] = [[] for _ in range(LANES)]
    found = []
    for each in times:
        at = x.share(each.at_s)
        lane = next((n for n, taken in enumerate(placed) if all(abs(at - one) >= APART for one in taken)), LANES - 1)
        placed[lane].append(at)
        found.append(lane)
    return found


def _caption(found: Sequence[tuple[int, Recovery]], facts: CampaignFacts) -> str:
    words = ", ".join(
        f"{trial}: {seconds(each.at_s)}" if each.healed else f"{trial}: not healed within {seconds(each.at_s)}"
        for trial, each in found
    )
    left = len(facts.trials) - len(found)
    without = f" Left out: {plural(left, 'trial')} that proved nothing." if left else ""
    return (
        "<figcaption>Share of trials in which not every stream had succeeded again, against seconds since the "
        "injection (Kaplan-Meier). A point below for each trial; a cross, and a tick on the curve, for one that was "
        f"not seen to heal. By number of the trial: {escape(words)}.{without}"
        "</figcaption>"
    )
