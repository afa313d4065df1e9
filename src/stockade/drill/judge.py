"""From a history to its judgement. Pure: the same history gives the same bytes, here and on any other computer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from stockade.drill.checkers.case import case_of
from stockade.drill.checkers.liveness import first_healthy_ns
from stockade.drill.checkers.table import check
from stockade.drill.history import SECOND_NS, History
from stockade.drill.scenario import Scenario, digest_of, parse
from stockade.drill.verdict import Finding, Judgement, Verdict, Window, merged

DIGITS = 3
"""Of times and figures in a judgement: milliseconds of seconds."""


def judge(history: History) -> Judgement:
    """What this trial has shown. Raises UsageError if the scenario in the history is none."""
    header = history.header
    scenario = parse(header.get("scenario"), "the scenario in the history")
    case = case_of(history, scenario)
    findings = check(case)
    return Judgement(
        scenario=scenario.name,
        digest=digest_of(header["scenario"]),
        trial=int(header.get("trial", 0)),
        seed=int(header.get("seed", 0)),
        verdict=verdict_of(scenario, findings),
        findings=findings,
        streams=case.figures,
        target=_target(history),
        times_s=_times_s(history),
    )


def verdict_of(scenario: Scenario, findings: Sequence[Finding]) -> Verdict:
    """The worst finding; for the control that breaks the cloud, whether the instrument saw just that."""
    planted = scenario.expect.violates
    if not planted:
        return merged(each.verdict for each in findings)
    others = merged(each.verdict for each in findings if each.id != planted)
    seen = merged(each.verdict for each in findings if each.id == planted)
    return merged([others, {Verdict.FAIL: Verdict.PASS, Verdict.PASS: Verdict.FAIL}.get(seen, Verdict.UNKNOWN)])


def to_json(judgement: Judgement) -> str:
    """As text, one judgement always the same."""
    return json.dumps(plain(judgement), indent=2, sort_keys=True) + "\n"


def plain(value: Any) -> Any:
    """The value as JSON has it: error windows with their bounds in seconds, floats rounded."""
    if isinstance(value, Window):
        upper = None if value.upper_ns is None else plain(value.upper_ns / SECOND_NS)
        times = {each.name: getattr(value, each.name) for each in fields(value)}
        return {**times, "lower_s": plain(value.lower_ns / SECOND_NS), "upper_s": upper}
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def _target(history: History) -> tuple[str, ...]:
    """Hosts that were hit: `hosts` of what was observed of the target last, or all of it if it is a plain list."""
    value = next((each.value for each in reversed(history.observed("target"))), None) or ()
    hosts = value.get("hosts", ()) if isinstance(value, Mapping) else value
    return (hosts,) if isinstance(hosts, str) else tuple(str(each) for each in hosts)


def _times_s(history: History) -> dict[str, float]:
    steps = ("inject", "confirmed", "heal", "healed")
    times = {step: history.step_ns(step) for step in steps}
    times |= {"redundant": first_healthy_ns(history), "end": history.end_ns}
    return {name: round(at / SECOND_NS, DIGITS) for name, at in times.items() if at is not None}
