"""Any number of trials of one scenario, in one directory: each is kept when it ends, and a next run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stockade.cloud.model import Cloud
from stockade.cloud.paths import state_dir
from stockade.drill.history import History, HistoryError, read
from stockade.drill.judge import judge
from stockade.drill.record import read_lines
from stockade.drill.scenario import Scenario
from stockade.drill.verdict import Judgement
from stockade.errors import UsageError

DONE = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Campaign:
    """The trials of one scenario below `root`. A changed scenario is another campaign: its digest is in the name."""

    scenario: Scenario
    root: Path

    @property
    def directory(self) -> Path:
        """Where its histories are."""
        return self.root / f"{self.scenario.name}-{self.scenario.digest[:8]}"

    def path(self, number: int) -> Path:
        """History of a trial while it runs; when it ends, `.gz` is added."""
        return self.directory / f"trial-{number:03}.jsonl"

    def missing(self, trials: int) -> tuple[int, ...]:
        """Numbers of the trials up to `trials` that have not ended yet."""
        return tuple(number for number in range(1, trials + 1) if not self.path(number).with_suffix(DONE).exists())

    def make_room(self, number: int) -> Path:
        """Path for a new history. What a broken-off drill left there is kept under another name."""
        path = self.path(number)
        if path.exists():
            path.rename(path.with_name(f"{path.stem}.broken-off-{time.time_ns()}.jsonl"))
        return path

    def finished(self) -> tuple[Path, ...]:
        """Histories of the trials that ended, in order."""
        return tuple(sorted(self.directory.glob(f"trial-*{DONE}")))


def seed_of(base: int, number: int) -> int:
    """Of a trial: the first has the base itself, so that the seed of any trial replays it in a new campaign."""
    return base + number - 1


def drills_root(cloud: Cloud) -> Path:
    """Where the histories of this cloud are kept."""
    return state_dir(cloud.name) / "drills"


def load(path: Path) -> History:
    """The history in `path`. Raises UsageError if it is none."""
    try:
        return read(read_lines(path))
    except (OSError, EOFError, UnicodeDecodeError, HistoryError) as error:
        raise UsageError(f"{path}: {error}") from error


def judged(paths: tuple[Path, ...], say: Callable[[str], None]) -> tuple[tuple[Path, History, Judgement], ...]:
    """Each history and what it is judged to be; `say` hears which one is next."""
    found = []
    for path in paths:
        say(path.name)
        history = load(path)
        found.append((path, history, judge(history)))
    return tuple(found)
