"""One scenario on the page: what it is for, its figures over all trials, its trials. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stockade.drill.report.curve import curve
from stockade.drill.report.expected import expectation, fault
from stockade.drill.report.facts import CampaignFacts, TrialFacts, threshold, upper_s
from stockade.drill.report.strips import order
from stockade.drill.report.text import (
    SYMBOLS,
    Column,
    anchor,
    badge,
    details,
    escape,
    milliseconds,
    nested,
    percent,
    plural,
    seconds,
    table,
)
from stockade.drill.report.trial import evidence, trial
from stockade.drill.statistics import Spread, median
from stockade.drill.verdict import Finding, StreamFigures, Verdict

STREAMS = (
    Column("Stream"),
    Column("Offered", number=True),
    Column("Failed", number=True),
    Column("Unknown", number=True),
    Column("Window median", number=True, help="Upper bound of the error window between injection and heal"),
    Column("Window max", number=True),
    Column("Allowed", number=True),
    Column("After heal", number=True, help="Upper bound of the error window from the heal on"),
    Column("Unavailable", number=True, help="Bins with less than half of the offered operations successful"),
    Column("In 60 s", number=True, help="Share that failed, of the operations offered in the 60 s after the injection"),
    Column("p95 before", number=True),
    Column("p95 in fault", number=True, help="Of those that succeeded between injection and heal"),
    Column("Probe late", number=True, help="99th percentile of how much later than meant an operation started"),
)
STREAMS_SAID = (
    "Windows are upper bounds. After the heal, unavailable, failed in the 60 s after the injection, and probe late "
    "(99th percentile) are the largest of any trial; latencies (p95) are medians over the trials."
)
TRIALS = (
    Column("Trial", number=True), Column("Verdict"), Column("Longest window", number=True), Column("Stream"),
    Column("After heal", number=True), Column("Unavailable", number=True), Column("Failed", number=True),
    Column("Lost", number=True), Column("Hit"), Column("Seed", number=True), Column("History"),
)  # fmt: skip
BAD = frozenset({Verdict.FAIL, Verdict.UNKNOWN})
RULES = (Column("Id"), Column("What must hold"), Column("Over all trials"), Column("In the worst trial"))


def section(facts: CampaignFacts, shown: Iterable[TrialFacts], *, rows_max: int) -> str:
    """The scenario, with the trials in `shown` in full."""
    scenario, full = facts.campaign.scenario, list(shown)
    return "".join(
        (
            f'<section class="scenario" id="{anchor(scenario.name)}"><h2>{escape(scenario.title)}</h2>',
            f'<p class="under">{badge(facts.verdict)} <code>{escape(scenario.name)}</code> ',
            f"{escape(fault(scenario))}</p>",
            f"<p>{escape(scenario.why)}</p>",
            "<h3>What is expected</h3>" + expectation(scenario),
            "<h3>What was found</h3>" + _rules(facts),
            "<h3>Until every stream succeeded again</h3>" + curve(facts),
            "<h3>Streams, over all trials</h3>" + _streams(facts),
            "<h3>Trials</h3>" + table(TRIALS, (_trial_row(each) for each in facts.trials), kind="figures"),
            _which(facts, full),
            *(trial(each, opened=number == 0 or _bad(each), rows_max=rows_max) for number, each in enumerate(full)),
            details("Environment, digest, and how to repeat it", _environment(facts), kind="environment"),
            "</section>",
        )
    )


def _bad(facts: TrialFacts) -> bool:
    return facts.judgement.verdict is not Verdict.PASS


def _which(facts: CampaignFacts, full: list[TrialFacts]) -> str:
    """Says which trials are not shown in full, and why."""
    left = len(facts.trials) - len(full)
    if not left:
        return ""
    bad = sum(map(_bad, facts.trials)) - sum(map(_bad, full))
    fewer = f" This page has no room for all of them: {plural(bad, 'trial')} not passing are not shown." if bad else ""
    return (
        f'<p class="note">In full below: {plural(len(full), "trial")} of {len(facts.trials)}: the first, the one '
        f"with the longest window, and those that did not pass.{fewer} The others are in the table above, in their "
        "histories and in the JSON beside this page.</p>"
    )


def _rules(facts: CampaignFacts) -> str:
    """Every checker, those that did not hold first, with the sentence of the trial in which it was worst."""
    by_id: dict[str, list[tuple[int, Finding]]] = {}
    for each in facts.trials:
        for finding in each.judgement.findings:
            by_id.setdefault(finding.id, []).append((each.judgement.trial, finding))
    rows = [_rule(found) for found in by_id.values()]
    bad = [row for verdict, row in sorted(rows, key=lambda each: list(Verdict)[::-1].index(each[0])) if verdict in BAD]
    good = [row for verdict, row in rows if verdict not in BAD]
    text = table(RULES, bad, kind="cards findings") if bad else ""
    if good:
        held = f"{badge(Verdict.PASS)} {plural(len(good), 'check')} held in every trial"
        text += details(held, table(RULES, good, kind="cards findings"), opened=not bad, kind="holds")
    return text


def _rule(found: Sequence[tuple[int, Finding]]) -> tuple[Verdict, tuple[str, ...]]:
    """A checker's worst verdict, and its row."""
    order_of = list(Verdict).index
    number, worst = max(found, key=lambda each: order_of(each[1].verdict))
    counts = Counter(finding.verdict for _number, finding in found)
    tally = " ".join(f"{SYMBOLS[each]}&#8239;{counts[each]}" for each in Verdict if counts[each])
    return worst.verdict, (
        f"<code>{escape(worst.id)}</code>",
        escape(worst.title),
        f"{badge(worst.verdict)} <small>{tally}</small>",
        escape(worst.sentence) + evidence(worst, f"evidence of trial {number}"),
    )


def _streams(facts: CampaignFacts) -> str:
    names = {each.stream for one in facts.trials for each in one.judgement.streams}
    rows = (_stream_row(facts, name) for name in sorted(names, key=order))
    return table(STREAMS, rows, kind="figures") + f'<p class="note">{escape(STREAMS_SAID)}</p>'


def _stream_row(facts: CampaignFacts, name: str) -> tuple[str, ...]:
    found = [each for one in facts.trials for each in one.judgement.streams if each.stream == name]
    summary = facts.summary.streams.get(name)
    allowed = threshold(facts.campaign.scenario.expect.error_window_s, name)
    return (
        escape(name),
        str(sum(each.offered for each in found)),
        str(sum(each.fail for each in found)),
        str(sum(each.info for each in found)),
        spread_median(summary.out) if summary else seconds(None),
        spread_max(summary.out) if summary else seconds(None),
        seconds(allowed),
        spread_max(summary.back) if summary else seconds(None),
        seconds(max((each.unavailable_s for each in found), default=None)),
        percent(max((each.failed_ratio for each in found if each.failed_ratio is not None), default=None)),
        milliseconds(_median(found, "baseline_p95_ms")),
        milliseconds(_median(found, "fault_p95_ms")),
        milliseconds(max((each.lag_p99_ms for each in found if each.lag_p99_ms is not None), default=None)),
    )


def _median(found: Iterable[StreamFigures], field: str) -> float | None:
    return median(value for each in found if (value := getattr(each, field)) is not None)


def spread_median(spread: Spread) -> str:
    """The median in words; it may lie among those that had not ended."""
    if not spread.points_s and not spread.unhealed:
        return seconds(None)
    return seconds(spread.median_s, "no end")


def spread_max(spread: Spread) -> str:
    """The maximum in words; nobody knows it if one had not ended."""
    return f"no end in {spread.unhealed}" if spread.unhealed else seconds(spread.max_s)


def _trial_row(facts: TrialFacts) -> tuple[str, ...]:
    judgement = facts.judgement
    return (
        str(judgement.trial),
        badge(judgement.verdict),
        seconds(upper_s(facts.out.out), "no end") if facts.out else ("0 s" if facts.measured else seconds(None)),
        escape(facts.out.stream) if facts.out else "",
        seconds(upper_s(facts.back.back), "no end") if facts.back else "0 s",
        seconds(facts.unavailable_s),
        str(len(facts.failures)),
        seconds(None) if facts.lost is None else str(facts.lost),
        escape(", ".join(judgement.target)),
        str(judgement.seed),
        f"<code>{escape(facts.trial.file)}</code>",
    )


def _environment(facts: CampaignFacts) -> str:
    """Where the trials ran; what differs between them is told for each."""
    environments = [each.trial.history.header.get("environment", {}) for each in facts.trials]
    same = all(each == environments[0] for each in environments)
    scenario = facts.campaign.scenario
    seeds = ", ".join(f"{each.judgement.trial}: {each.judgement.seed}" for each in facts.trials)
    about = nested(
        {
            "Scenario": scenario.name,
            "Digest of the scenario": facts.summary.digest,
            "Seeds, by number of the trial": seeds,
            "Do a trial again": f"stockade drill run {scenario.name} --seed SEED",
            "Check a history again": f"stockade drill check {facts.trials[0].trial.file}",
        }
    )
    if same:
        return about + "<h4>Environment of all trials</h4>" + nested(environments[0])
    differing = "".join(
        f"<h4>Environment of trial {each.judgement.trial}</h4>{nested(environment)}"
        for each, environment in zip(facts.trials, environments, strict=True)
    )
    return about + '<p class="note">The environments of these trials differ.</p>' + differing
