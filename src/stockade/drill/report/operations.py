"""Every operation that did not succeed, as a table. Pure."""

from __future__ import annotations

from stockade.drill.report.facts import Failure, TrialFacts
from stockade.drill.report.text import Column, cut, details, escape, milliseconds, plural, table

ROWS_MAX = 500
"""Of one trial."""
ROWS_OF_A_PAGE = 12_000
"""Of all trials of a page together, so that it stays a file that a phone can open."""
ROWS_MIN = 40
ERROR_MAX = 160
"""Characters of an error message; the history has it whole."""
COLUMNS = (
    Column("s since injection", number=True), Column("Stream"), Column("Outcome"), Column("Took", number=True),
    Column("Where"), Column("Error"),
)  # fmt: skip


def failed(facts: TrialFacts, limit: int) -> str:
    """The first `limit` of them, folded, and how many were left out."""
    count = len(facts.failures)
    if not count:
        return "<p>No operation failed, and none is unknown.</p>"
    shown = facts.failures[:limit]
    left = count - len(shown)
    text = table(COLUMNS, (_row(each, facts.zero_s) for each in shown), kind="operations")
    if left:
        file = f"<code>{escape(facts.trial.file)}</code>"
        text += f"<p>{plural(left, 'operation')} more were left out; the history {file} has them.</p>"
    unknown = sum(each.outcome != "failed" for each in facts.failures)
    return details(f"{count - unknown} failed and {unknown} unknown operations", text, kind="rows")


def _row(failure: Failure, zero_s: float) -> tuple[str, ...]:
    return (
        f"{failure.start_s - zero_s:+.2f}",
        escape(failure.stream),
        f'<span class="o-{failure.outcome[:1]}">{failure.outcome}</span>',
        milliseconds(failure.latency_s * 1000),
        escape(cut(failure.where, 80)),
        escape(cut(failure.error, ERROR_MAX)),
    )
