"""Figures: inline SVG that stretches with the page, with its words as HTML above it. Pure.

The drawing is `WIDTH` units wide whatever the screen, and one unit high is one pixel. Lines keep their thickness when
it is stretched, and words are not part of it, so that they are as large on a phone as on paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stockade.drill.report.text import escape

WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `low`..`high` to `start`..`end`, in units of the drawing; what lies outside is put on the edge."""

    low: float
    high: float
    start: float = 0
    end: float = WIDTH
    log: bool = False

    def share(self, value: float) -> float:
        """Where `value` lies between the ends, from 0 to 1."""
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / ((self.high - self.low) or 1)
        return min(1.0, max(0.0, part))

    def reaches(self, value: float) -> bool:
        """`value` is not outside."""
        return self.low <= value <= self.high

    def __call__(self, value: float) -> float:
        """Where `value` lies in the drawing."""
        return self.start + self.share(value) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Label:
    """A word beside an axis, at a share of its length."""

    at: float
    text: str


def ticks(low: float, high: float, about: int = 8) -> tuple[float, ...]:
    """Round numbers within the range, at most `about` + 1 of them."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= about)
    first = math.ceil(low / step - 1e-9)
    return tuple(index * step for index in range(first, math.floor(high / step + 1e-9) + 1))


def powers(low: float, high: float) -> tuple[float, ...]:
    """The powers of ten within the range."""
    return tuple(10.0**each for each in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high)) + 1))


def number(value: float) -> str:
    """A coordinate in as few characters as a tenth of a unit allows."""
    return f"{round(value, 1):g}"


def path(commands: Iterable[str], kind: str) -> str:
    """One path of all `commands`; nothing at all of none."""
    drawn = "".join(commands)
    return f'<path class="{kind}" d="{drawn}"/>' if drawn else ""


def upright(x: float, y: float, height: float) -> str:
    """A line downwards."""
    return f"M{number(x)} {number(y)}v{number(height)}"


def dot(x: float, y: float) -> str:
    """A point: the round end of a line without length stays round when the drawing is stretched."""
    return f"M{number(x)} {number(y)}h0"


def cross(x: float, y: float, size: float = 3) -> str:
    """A cross around a point."""
    whole = number(2 * size)
    return f"M{number(x - size)} {number(y - size)}l{whole} {whole}m0-{whole}l-{whole} {whole}"


def box(x: float, y: float, width: float, height: float) -> str:
    """A rectangle."""
    return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h-{number(width)}z"


def across(y: float, kind: str = "grid") -> str:
    """A line over the whole width."""
    return path([f"M0 {number(y)}h{WIDTH}"], kind)


def figure(
    title: str,
    drawing: str,
    height: float,
    *,
    xs: Sequence[Label] = (),
    ys: Sequence[Label] = (),
    over: str = "",
    above: str = "",
) -> str:
    """A drawing with its axes. `title` is for who cannot see it; `over` is HTML that lies on it, `above` what precedes
    it on the same axis."""
    graphic = (
        f'<svg role="img" viewBox="0 0 {WIDTH} {number(height)}" preserveAspectRatio="none" '
        f'style="height:{number(height)}px"><title>{escape(title)}</title>{drawing}</svg>'
    )
    below = "".join(f'<span style="left:{number(each.at * 100)}%">{escape(each.text)}</span>' for each in xs)
    beside = "".join(
        f'<span class="y" style="top:{number(each.at * height)}px">{escape(each.text)}</span>' for each in ys
    )
    axis = f'<div class="xs" aria-hidden="true">{below}</div>' if xs else ""
    kind = "fig" if ys else "fig bare"
    return f'<div class="{kind}">{above}<div class="plot">{graphic}{beside}{over}</div>{axis}</div>'
