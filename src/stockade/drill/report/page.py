"""The report as one HTML file: no script, no other file, nothing from the network. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stockade.drill.report.facts import CampaignFacts, TrialFacts, campaign_facts, threshold
from stockade.drill.report.model import Campaign
from stockade.drill.report.operations import ROWS_MAX, ROWS_MIN, ROWS_OF_A_PAGE
from stockade.drill.report.section import section, spread_max, spread_median
from stockade.drill.report.style import STYLE
from stockade.drill.report.svg import Scale, box, cross, dot, path, upright
from stockade.drill.report.text import SYMBOLS, Column, anchor, badge, escape, plural, seconds, table
from stockade.drill.report.validity import threats
from stockade.drill.verdict import Verdict, merged

FULL_MAX = 60
"""Trials in full on one page: with all figures one takes up to 60 kB."""
FULL_MIN = 2
"""Of each scenario: the first and the worst."""
ALL_SHOWN = 5
"""Trials of a scenario up to which all are shown in full, if the page has room."""
OVERVIEW = (
    Column("Scenario"),
    Column("Verdict"),
    Column("Passed", number=True, help="With the 95 % Clopper-Pearson interval of the share that passes"),
    Column("Healed", number=True, help="Trials in which everything of liveness held"),
    Column("Window median", number=True, help="Of each trial the longest error window of any stream, upper bound"),
    Column("Window max", number=True),
    Column("Allowed", number=True, help="For the stream that was worst"),
    Column("Each trial", help="A point for each trial; the line is what is allowed"),
    Column("Unavailable", number=True, help="The longest of any stream in any trial"),
    Column("Lost", number=True, help="Acknowledged records that are gone"),
)


def page(campaigns: Sequence[Campaign]) -> str:
    """The report. Campaigns are shown in the order given, each with its trials in theirs."""
    facts = [campaign_facts(each) for each in campaigns]
    full = [chosen(each, len(facts)) for each in facts]
    rows_max = max(ROWS_MIN, min(ROWS_MAX, ROWS_OF_A_PAGE // max(1, sum(map(len, full)))))
    sections = "".join(section(each, shown, rows_max=rows_max) for each, shown in zip(facts, full, strict=True))
    trials = [each for one in facts for each in one.trials]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(facts))}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>Stockade drill</h1>{_lead(trials, len(facts))}</header>"
        f'<main><section id="verdicts"><h2>Verdicts</h2>{_overview(facts)}</section>{sections}{threats()}</main>'
        "</body></html>\n"
    )


def chosen(facts: CampaignFacts, campaigns: int) -> tuple[TrialFacts, ...]:
    """The trials that are shown in full: all of a few, else the first, the worst, and those that did not pass."""
    room = max(FULL_MIN, FULL_MAX // max(1, campaigns))
    trials = facts.trials
    if len(trials) <= min(ALL_SHOWN, room):
        return trials
    worst = max(trials, key=lambda each: each.rank)
    bad = sorted((each for each in trials if each.judgement.verdict is not Verdict.PASS), key=_badness)
    wanted = list(dict.fromkeys(map(id, (trials[0], worst, *bad))))[:room]
    return tuple(each for each in trials if id(each) in wanted)


def _badness(facts: TrialFacts) -> int:
    return -list(Verdict).index(facts.judgement.verdict)


def _title(facts: Sequence[CampaignFacts]) -> str:
    return f"{merged(each.verdict for each in facts)}: Stockade drill, {plural(len(facts), 'scenario')}"


def _lead(trials: Sequence[TrialFacts], scenarios: int) -> str:
    """What a reader in a hurry needs."""
    counts = Counter(each.judgement.verdict for each in trials)
    tally = "".join(
        f'<li class="v-{each.lower()}"><i aria-hidden="true">{SYMBOLS[each]}</i><b>{counts[each]}</b> {each}</li>'
        for each in Verdict
    )
    return (
        f"<p>{plural(len(trials), 'trial')} of {plural(scenarios, 'scenario')}: a fault in a real cloud under load, "
        f'written down as it happened, and judged from what was written.</p><ul class="tally">{tally}</ul>'
    )


def _overview(facts: Sequence[CampaignFacts]) -> str:
    longest = max((each for one in facts for each in (*one.worst.points_s, _allowed(one)[0] or 0)), default=0)
    scale = Scale(0, max(longest, 1) * 1.1, 6, 114)
    return table(OVERVIEW, (_overview_row(each, scale) for each in facts), kind="cards overview") + _reading(scale.high)


def _overview_row(facts: CampaignFacts, scale: Scale) -> tuple[str, ...]:
    scenario, summary = facts.campaign.scenario, facts.summary
    low, high = facts.passing
    worst = max(facts.measured, key=lambda each: each.rank, default=None)
    stream = worst.out.stream if worst and worst.out else ""
    allowed, whose = _allowed(facts)
    unavailable = max((each.unavailable_s for each in facts.measured), default=None)
    return (
        f'<a href="#{anchor(scenario.name)}">{escape(scenario.title)}</a><small>{escape(scenario.name)}</small>',
        badge(facts.verdict),
        f"{summary.passed} of {summary.trials}<small>{low * 100:.0f}&nbsp;to&nbsp;{high * 100:.0f}&nbsp;%</small>",
        f"{summary.healed} of {summary.trials}",
        spread_median(facts.worst),
        f"<b>{spread_max(facts.worst)}</b><small>{escape(stream)}</small>",
        f"{seconds(allowed, 'not set')}<small>{escape(whose)}</small>",
        _points(facts, scale),
        seconds(unavailable),
        seconds(None) if facts.lost is None else f"<b>{facts.lost}</b>" if facts.lost else "0",
    )


def _allowed(facts: CampaignFacts) -> tuple[float | None, str]:
    """What was allowed to the worst stream, else the strictest of all; and whose it is."""
    expected = facts.campaign.scenario.expect.error_window_s
    worst = max(facts.measured, key=lambda each: each.rank, default=None)
    if worst and worst.out and (limit := threshold(expected, worst.out.stream)) is not None:
        return limit, ""
    strictest = min(expected, key=lambda each: expected[each], default=None)
    return (None, "") if strictest is None else (expected[strictest], strictest)


def _points(facts: CampaignFacts, x: Scale) -> str:
    """Each trial's longest window as a point, on one scale for all scenarios; those without an end as a cross."""
    allowed, _whose = _allowed(facts)
    points = path((dot(x(each), 11) for each in facts.worst.points_s), "k-healed")
    points += path([cross(114, 11)] if facts.worst.unhealed else [], "k-censored")
    limit = "" if allowed is None else path([upright(x(allowed), 1, 20)], "limit")
    title = f"Windows of {plural(len(facts.worst.points_s), 'trial')} from 0 to {seconds(x.high)}"
    base = path([box(0, 21, 120, 0.5)], "base")
    graphic = f"<title>{escape(title)}</title>{base}{limit}{points}</svg>"
    return f'<svg role="img" class="points" viewBox="0 0 120 22">{graphic}'


def _reading(high_s: float) -> str:
    """How to read the table."""
    return (
        '<p class="note">The unit is the trial: one injection. Below the passed trials stands the 95 % Clopper-Pearson '
        "interval of the share that passes. The window is the longest of any stream between injection and heal, from "
        "the last success before its failures to the first success after them (upper bound); points are trials, from "
        f"0 to {seconds(high_s)}, the dashed line is what is allowed, a cross is a window that did not end. "
        "Unavailable time counts the seconds (tenths for datagrams) in which fewer than half of the operations "
        "succeeded. UNKNOWN means that the evidence is not enough: it never counts as passed, and windows of such "
        "trials do not count. "
        '<a href="#threats">What these figures cannot show</a> is at the end.</p>'
    )
