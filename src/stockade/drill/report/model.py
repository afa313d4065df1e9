"""What a report is made from: scenarios, and of each the trials with what was judged about them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from stockade.drill.history import History
from stockade.drill.scenario import Scenario
from stockade.drill.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Trial:
    """One history, what was judged about it, and the name of the file that it was read from."""

    history: History
    judgement: Judgement
    file: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """All trials of one scenario, in the order in which they are to be shown."""

    scenario: Scenario
    trials: tuple[Trial, ...]
