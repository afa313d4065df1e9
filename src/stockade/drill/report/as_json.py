"""The facts of a report as JSON: the same trials always give the same text. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stockade.drill.judge import plain
from stockade.drill.report.facts import CampaignFacts, TrialFacts, campaign_facts
from stockade.drill.report.model import Campaign
from stockade.drill.report.operations import ROWS_MAX
from stockade.drill.report.text import printable
from stockade.drill.report.validity import THREATS
from stockade.drill.statistics import kaplan_meier

SCHEMA = 1


def as_json(campaigns: Sequence[Campaign]) -> str:
    """Everything that the page says, and every trial's figures."""
    scenarios = [_campaign(campaign_facts(each)) for each in campaigns]
    data = {"schema": SCHEMA, "scenarios": scenarios, "threats_to_validity": THREATS}
    return json.dumps(plain(data), indent=1, sort_keys=True, default=printable) + "\n"


def _campaign(facts: CampaignFacts) -> dict[str, Any]:
    recoveries = [each.recovery for each in facts.measured if each.recovery]
    low, high = facts.passing
    return {
        "scenario": facts.campaign.scenario.model_dump(mode="json"),
        "verdict": facts.verdict,
        "summary": facts.summary,
        "passing_interval": {"low": low, "high": high, "confidence": 0.95, "method": "Clopper-Pearson"},
        "window": facts.worst,
        "window_after_heal": facts.back,
        "lost_records": facts.lost,
        "not_healed_curve": kaplan_meier((each.at_s, each.healed) for each in recoveries),
        "trials": [_trial(each) for each in facts.trials],
    }


def _trial(facts: TrialFacts) -> dict[str, Any]:
    header = facts.trial.history.header
    return {
        "file": facts.trial.file,
        "judgement": facts.judgement,
        "whole": facts.trial.history.whole,
        "measured": facts.measured,
        "worst_stream": facts.out.stream if facts.out else None,
        "worst_stream_after_heal": facts.back.stream if facts.back else None,
        "unavailable_s": facts.unavailable_s,
        "lost_records": facts.lost,
        "recovery": facts.recovery,
        "phases": facts.phases,
        "environment": header.get("environment", {}),
        "replay": f"stockade drill run {facts.judgement.scenario} --seed {facts.judgement.seed}",
        "check": f"stockade drill check {facts.trial.file}",
        "not_succeeded": [asdict(each) for each in facts.failures[:ROWS_MAX]],
        "not_succeeded_left_out": max(0, len(facts.failures) - ROWS_MAX),
    }
