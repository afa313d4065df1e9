"""Text and tables as HTML, and figures as words. Pure.

Whatever comes from a history passes `escape`: a service's error message must never become part of the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stockade.drill.verdict import Verdict

NOTHING = "\u2013"
"""Stands where there is no figure."""
SYMBOLS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of surrogate pairs, which no file can hold, and what turns the direction of text."""


def printable(value: object) -> str:
    """`value` as text that any file and terminal can hold."""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def escape(value: object) -> str:
    """`value` as text within HTML or within an attribute."""
    return html.escape(printable(value))


def cut(value: object, length: int) -> str:
    """`value` as text of at most `length` characters, not yet escaped."""
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def anchor(name: str) -> str:
    """`name` as the target of a link."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")


def seconds(value: float | None, missing: str = NOTHING) -> str:
    """Seconds as finely as a probe can tell: hundredths below one, tenths below a hundred."""
    if value is None:
        return missing
    if abs(value) < 0.005:
        return "0 s"
    return f"{value:.2f} s" if abs(value) < 1 else f"{value:.1f} s" if abs(value) < 100 else f"{value:.0f} s"


def milliseconds(value: float | None) -> str:
    """Milliseconds, with a fraction only where it tells something."""
    if value is None:
        return NOTHING
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def percent(value: float | None) -> str:
    """A share of one."""
    if value is None:
        return NOTHING
    part = value * 100
    return "0 %" if part == 0 else f"{part:.2f} %" if part < 1 else f"{part:.1f} %" if part < 99.95 else "100 %"


def plural(count: int, one: str, many: str = "") -> str:
    """The count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def badge(verdict: Verdict) -> str:
    """The verdict as symbol, word and colour."""
    return f'<span class="verdict v-{verdict.lower()}"><i aria-hidden="true">{SYMBOLS[verdict]}</i>{verdict}</span>'


def details(summary: str, body: str, *, opened: bool = False, kind: str = "") -> str:
    """`body` behind `summary`, both HTML."""
    attributes = (f' class="{kind}"' if kind else "") + (" open" if opened else "")
    return f"<details{attributes}><summary>{summary}</summary>{body}</details>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. Numbers are set to the right."""

    title: str
    number: bool = False
    help: str = ""
    """What it means, shown when pointed at."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, kind: str = "", caption: str = "") -> str:
    """A table of cells that are HTML already. Kind `cards` makes a card of each row where there is no room."""
    head = "".join(
        f'<th scope="col"{_numeric(each)}{_title(each)}>{escape(each.title)}</th>' for each in columns
    )  # fmt: skip
    lines = ["".join(_cell(*pair, cards="cards" in kind) for pair in zip(columns, row, strict=True)) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    text = f'<table class="{kind}">{said}<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
    return text if "cards" in kind else f'<div class="wide" tabindex="0" role="group">{text}</div>'


def _numeric(column: Column) -> str:
    return ' class="n"' if column.number else ""


def _title(column: Column) -> str:
    return f' title="{escape(column.help)}"' if column.help else ""


def _cell(column: Column, content: str, *, cards: bool) -> str:
    label = f' data-label="{escape(column.title)}"' if cards else ""
    return f"<td{_numeric(column)}{label}>{content}</td>"


def pairs(entries: Iterable[tuple[str, str]]) -> str:
    """Names with what belongs to them; the second of each pair is HTML already."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{content}</dd>" for name, content in entries) + "</dl>"


def nested(value: object) -> str:
    """A value of any shape, dictionaries and lists within one another, for a reader."""
    if isinstance(value, dict):
        return pairs((str(key), nested(each)) for key, each in value.items()) if value else NOTHING
    if isinstance(value, list | tuple):
        return "<br>".join(nested(each) for each in value) if value else NOTHING
    return escape(cut(value, 2000))
