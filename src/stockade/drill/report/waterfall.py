"""The parts of a trial as bars, one below the other. Pure."""

from __future__ import annotations

from stockade.drill.report import svg
from stockade.drill.report.facts import TrialFacts
from stockade.drill.report.marks import axis
from stockade.drill.report.text import escape, seconds

ROW, BAR = 34, 14
"""Pixels of a part with its name, and of its bar."""


def waterfall(facts: TrialFacts) -> str:
    """A bar from the beginning to the end of each part, in seconds since the injection; nothing without a part."""
    parts = facts.phases
    if not parts:
        return ""
    first, last = min(each.start_s for each in parts), max(each.end_s for each in parts)
    scale = svg.Scale(first, max(last, first + 1))
    drawn, said = [], []
    for row, each in enumerate(parts):
        left, right = scale(each.start_s), scale(each.end_s)
        drawn.append(svg.box(min(left, svg.WIDTH - 2), row * ROW + 17, max(2.0, right - left), BAR))
        length = seconds(each.end_s - each.start_s)
        said.append(
            f'<div class="strip" style="top:{row * ROW}px"><b>{escape(each.name)}</b><span>{length}</span></div>'
        )
    title = f"Trial {facts.judgement.trial}: its parts as bars over time"
    rules = [
        svg.upright(scale(at + facts.zero_s), 0, ROW * len(parts))
        for at in svg.ticks(first - facts.zero_s, last - facts.zero_s)
    ]
    drawing = svg.path(rules, "grid") + svg.path(drawn, "w-bar")
    return svg.figure(title, drawing, ROW * len(parts), xs=axis(scale, facts.zero_s), over="".join(said))
