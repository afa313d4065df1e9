"""What is wrong with a cloud file: all of it at once."""

from __future__ import annotations

from dataclasses import dataclass

from stockade.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong, where it stands, and what to do about it."""

    file: str
    line: int
    """Counted from 1; 0 if the file itself could not be read."""
    key: str
    """Dotted, such as `hosts.ctl1.roles`; empty if the problem is not one key's."""
    what: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, f"{self.what}; {self.fix}") if part)


class CloudFileError(UsageError):
    """The cloud file is wrong; `problems` holds every one found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            raise ValueError("an error without a problem")
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
