"""What a scenario breaks and expects, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from stockade.drill.report.text import escape
from stockade.drill.scenario import Scenario


def fault(scenario: Scenario) -> str:
    """What is done to whom."""
    told = scenario.fault.model_dump(mode="json", exclude_defaults=True)
    kind = told.pop("kind")
    parts = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in told.items())
    target = "" if scenario.target == "nobody" else f"; target: {scenario.target.value.replace('-', ' ')}"
    return "fault: " + str(kind).replace("-", " ") + (f" ({parts})" if parts else "") + target


def sentences(scenario: Scenario) -> tuple[str, ...]:
    """What must hold in every trial, one sentence each."""
    expect = scenario.expect
    found = [*_windows(expect.error_window_s, "from the injection to the heal")]
    found += _windows(expect.failback_window_s, "from the heal on")
    found += [
        f"Dropped on purpose: both bounds of the error window of {stream} lie between {low:g} s and {high:g} s."
        for stream, (low, high) in sorted(expect.error_window_between_s.items())
    ]
    before = ", while the fault still holds" if expect.heals_before_the_heal else ""
    found.append(f"Every stream succeeds again within {expect.heals_within_s:g} s of the injection{before}.")
    found.append(f"The cloud calls itself complete within {expect.redundant_within_s:g} s of the heal.")
    found.append(f"Each VIP changes hands at most {expect.owner_changes} times and has one holder at the end.")
    if expect.recovers_vms:
        found.append("The VM answers again from another boot while the fault still holds.")
    if expect.violates:
        found.append(f"This scenario breaks the cloud on purpose: {expect.violates} has to be FAIL, and nothing else.")
    return tuple(found)


def _windows(limits: Mapping[str, float], when: str) -> list[str]:
    """One sentence for each limit, with the streams that have it."""
    by_limit: dict[float, list[str]] = {}
    for stream, limit in sorted(limits.items()):
        by_limit.setdefault(limit, []).append(stream)
    return [
        f"Error window {when} at most {limit:g} s: {', '.join(names)}." for limit, names in sorted(by_limit.items())
    ]


def expectation(scenario: Scenario) -> str:
    """The sentences as a list."""
    return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in sentences(scenario)) + "</ul>"


def _plain(value: object) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
