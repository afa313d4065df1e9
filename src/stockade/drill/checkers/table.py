"""Every checker, and what they find together. Pure."""

from __future__ import annotations

from stockade.drill.checkers.case import EVIDENCE_MAX, Case, Checker, Outcome
from stockade.drill.checkers.cluster import members_agree, one_holder
from stockade.drill.checkers.liveness import complete_again, succeeds_again
from stockade.drill.checkers.records import acknowledged, unasked, undecided
from stockade.drill.checkers.thresholds import thresholds
from stockade.drill.checkers.validity import meaningful
from stockade.drill.checkers.vm import keeps_sessions, one_writer, recovers
from stockade.drill.verdict import Finding, Verdict


def check(case: Case) -> tuple[Finding, ...]:
    """Every checker's findings, in the order of `CHECKERS`."""
    return tuple(found for id_, title, checker in CHECKERS for found in _findings(case, id_, title, checker))


def _findings(case: Case, id_: str, title: str, checker: Checker) -> list[Finding]:
    try:
        outcomes = checker(case)
    except Exception as error:
        # What a checker did not expect is no evidence that all is well.
        outcomes = [Outcome(Verdict.UNKNOWN, f"the checker failed: {type(error).__name__}: {error}")]
    return [
        Finding(f"{id_} {each.about}".rstrip(), title, each.verdict, each.sentence, _capped(each.evidence))
        for each in outcomes
    ]


def _capped(lines: tuple[str, ...]) -> tuple[str, ...]:
    if len(lines) <= EVIDENCE_MAX:
        return lines
    shown = EVIDENCE_MAX - 1
    return (*lines[:shown], f"and {len(lines) - shown} more")


CHECKERS: tuple[tuple[str, str, Checker], ...] = (
    ("V1", "the run was meaningful", meaningful),
    ("S1", "every acknowledged record is there, through each controller", acknowledged),
    ("S2", "no record is there that was never asked for, or that failed", unasked),
    ("S3", "the VM has one writer", one_writer),
    ("S5", "a record with unknown outcome is on all controllers or on none", undecided),
    ("S6", "the database's members agree", members_agree),
    ("S8", "each VIP has one holder and changes hands seldom", one_holder),
    ("L1", "every stream succeeds again in time", succeeds_again),
    ("L2", "the cloud is complete again in time after the heal", complete_again),
    ("L3", "the VM answers again before its host returns", recovers),
    ("L4", "the long TCP session does not break", keeps_sessions),
    ("T", "a threshold of the scenario", thresholds),
)
"""Id, what holds if it passes, and who looks."""
