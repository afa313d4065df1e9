"""One trial on the page: its figures, findings and operations. Pure."""

from __future__ import annotations

from stockade.drill.report import marks as happened
from stockade.drill.report.facts import TrialFacts, lower_s, upper_s
from stockade.drill.report.operations import failed
from stockade.drill.report.plots import latency, rate
from stockade.drill.report.strips import timeline
from stockade.drill.report.text import (
    Column,
    badge,
    details,
    escape,
    milliseconds,
    pairs,
    percent,
    plural,
    seconds,
    table,
)
from stockade.drill.report.waterfall import waterfall
from stockade.drill.verdict import Finding, Judgement, StreamFigures, Verdict, Window

LEGEND = (
    ("s-ok", "ok: a low tick, or the lower part of a second"),
    ("s-slow", "slow: higher; more than 3 times the baseline's p95"),
    ("s-info", "unknown: a ring"),
    ("s-fail", "failed: a bar from above; in the scatter plot a cross"),
    ("s-band", "yellow shade: the fault is in force"),
    ("s-healing", "blue shade: it is being healed"),
)  # fmt: skip
FINDINGS = (Column("Id"), Column("What must hold"), Column("Verdict"), Column("What was found"))
FIGURES = (
    Column("Stream"),
    Column("Offered", number=True),
    Column("Failed", number=True),
    Column("Unknown", number=True),
    Column("Window", number=True, help="Error window between injection and heal: lower to upper bound"),
    Column("After heal", number=True, help="Error window from the heal on: lower to upper bound"),
    Column("Unavailable", number=True, help="Bins with less than half of the offered operations successful"),
    Column("Failed in 60 s", number=True, help="Share of the operations offered in the 60 s after the injection"),
    Column("p50 / p95 before", number=True),
    Column("p50 / p95 in fault", number=True, help="Of those that succeeded between injection and heal"),
    Column("Degraded", number=True, help="From the injection until as fast and free of errors as before"),
    Column("Probe late p99", number=True),
)
"""Of each stream in one trial."""


def trial(facts: TrialFacts, *, opened: bool, rows_max: int) -> str:
    """The whole trial, folded unless `opened`."""
    judgement = facts.judgement
    bad = judgement.verdict is not Verdict.PASS
    body = (
        pairs(_about(facts))
        + _timelines(facts)
        + _figure("Latency of requests", latency(facts), "Each request at its intended start, in seconds since the "
                  "injection; log scale. A square is slow, a cross failed, a ring unknown.")
        + _figure("Requests per second", rate(facts), "Upwards those that succeeded, downwards those that did not.")
        + _figure("Phases", waterfall(facts), "In seconds since the injection.")
        + details("Findings of this trial", findings(judgement), kind="rows", opened=bad)
        + details("Figures of each stream", figures(judgement), kind="rows")
        + failed(facts, rows_max)
    )  # fmt: skip
    headline = f"<h3>Trial {judgement.trial}</h3> {badge(judgement.verdict)} {_gist(facts)}"
    return details(headline, body, opened=opened, kind="trial")


def _timelines(facts: TrialFacts) -> str:
    """The whole trial, what its numbers mean, and its outage again as through a glass."""
    shown, left = happened.marks(facts), happened.left_out(facts)
    more = f"<p>{plural(left, 'mark')} more were left out.</p>" if left else ""
    whole = timeline(facts, happened.time_scale(facts), "the whole of it")
    closer = happened.outage_scale(facts)
    return (
        f"<h4>Timeline</h4>{legend()}<figure>{whole}<figcaption>Seconds since the injection. Beside each stream, how "
        "many operations did not succeed, and its error window between injection and heal (upper bound).</figcaption>"
        "</figure>"
        + happened.listed(shown, facts.zero_s)
        + more
        + _figure("The outage, closer", timeline(facts, closer, "the outage") if closer else "", "The same marks.")
    )


def _gist(facts: TrialFacts) -> str:
    """What the trial's headline says beside its verdict."""
    if facts.out is None:
        return '<span class="gist">nothing failed</span>' if facts.measured else ""
    longest = seconds(upper_s(facts.out.out), "did not end")
    return f'<span class="gist">{escape(facts.out.stream)} {longest}</span>'


def _about(facts: TrialFacts) -> list[tuple[str, str]]:
    judgement, history = facts.judgement, facts.trial.history
    roles = [each.value for each in history.observed("target") if isinstance(each.value, dict)]
    held = roles[-1].get("roles") if roles else None
    told = [
        ("Hit", escape(", ".join(judgement.target) or "nobody")),
        ("Roles at that moment", escape(_roles(held))) if held else ("", ""),
        ("Complete again", escape(_complete(judgement))),
        ("History", f"<code>{escape(facts.trial.file)}</code>"),
        ("Check it", f"<code>stockade drill check {escape(facts.trial.file)}</code>"),
        ("Do it again", f"<code>stockade drill run {escape(judgement.scenario)} --seed {judgement.seed}</code>"),
    ]
    if not history.whole:
        told.append(("Record", "cut off: the drill was killed before its end"))
    return [each for each in told if each[0]]


def _roles(held: object) -> str:
    if not isinstance(held, dict):
        return str(held)
    words = ((name, ", ".join(map(str, who)) if isinstance(who, list) else str(who)) for name, who in held.items())
    return "; ".join(f"{name}: {who}" for name, who in words)


def _complete(judgement: Judgement) -> str:
    at, heal = judgement.times_s.get("redundant"), judgement.times_s.get("heal")
    return "not seen" if at is None or heal is None else f"{seconds(at - heal)} after the heal"


def _figure(title: str, drawing: str, caption: str) -> str:
    if not drawing:
        return ""
    return f"<h4>{escape(title)}</h4><figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def legend() -> str:
    """What marks and colours mean."""
    entries = "".join(
        f'<li><svg role="img" viewBox="0 0 16 20" class="key"><title>{kind[2:]}</title>{_key(kind)}</svg>'
        f"{escape(text)}</li>"
        for kind, text in LEGEND
    )
    return f'<ul class="legend">{entries}</ul>'


def _key(kind: str) -> str:
    """A sample of a mark."""
    samples = {
        "s-ok": '<path class="t-ok" d="M4 13v7M8 13v7M12 13v7"/>',
        "s-slow": '<path class="t-slow" d="M4 8v12M8 8v12M12 8v12"/>',
        "s-info": '<path class="t-info" d="M8 10h0"/><path class="hole" d="M8 10h0"/>',
        "s-fail": '<path class="t-fail" d="M4 0v11M8 0v11M12 0v11"/>',
        "s-band": '<path class="band" d="M0 0h16v20h-16z"/>',
        "s-healing": '<path class="band healing" d="M0 0h16v20h-16z"/>',
    }
    return samples[kind]


def findings(judgement: Judgement) -> str:
    """Every finding; the evidence is folded."""
    return table(FINDINGS, (_finding(each) for each in sorted(judgement.findings, key=_badness)), kind="cards findings")


def _badness(finding: Finding) -> int:
    return -list(Verdict).index(finding.verdict)


def _finding(finding: Finding) -> tuple[str, ...]:
    return (
        f"<code>{escape(finding.id)}</code>",
        escape(finding.title),
        badge(finding.verdict),
        escape(finding.sentence) + evidence(finding, "evidence"),
    )


def evidence(finding: Finding, title: str) -> str:
    """The lines behind a finding, folded; nothing if they are no more than its sentence."""
    if set(finding.evidence) <= {finding.sentence}:
        return ""
    lines = "".join(f"<li>{escape(each)}</li>" for each in finding.evidence)
    return details(escape(title), f"<ul>{lines}</ul>", kind="evidence")


def bounds(window: Window | None) -> str:
    """Both bounds of an error window."""
    return "0 s" if window is None else f"{seconds(lower_s(window))} to {seconds(upper_s(window), 'no end')}"


def figures(judgement: Judgement) -> str:
    """The table of all streams in one trial."""
    return table(FIGURES, (_figures(each) for each in judgement.streams), kind="figures")


def _figures(each: StreamFigures) -> tuple[str, ...]:
    return (
        escape(each.stream),
        str(each.offered),
        str(each.fail),
        str(each.info),
        bounds(each.out),
        bounds(each.back),
        seconds(each.unavailable_s),
        percent(each.failed_ratio),
        f"{milliseconds(each.baseline_p50_ms)} / {milliseconds(each.baseline_p95_ms)}",
        f"{milliseconds(each.fault_p50_ms)} / {milliseconds(each.fault_p95_ms)}",
        seconds(each.degraded_s, "not told"),
        milliseconds(each.lag_p99_ms),
    )
