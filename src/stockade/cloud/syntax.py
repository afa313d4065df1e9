"""What is meant by the YAML parser's errors, which are about tokens and blocks, in an operator's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ruamel.yaml.error import MarkedYAMLError


@dataclass(frozen=True, slots=True)
class _Mistake:
    says: str
    """What the parser's message has in it."""
    what: str
    fix: str
    at_beginning: bool = False
    """The mistake is where the broken part begins, not where the parser noticed it."""


_MISTAKES = (
    _Mistake("block end", "the indentation fits no line above", "give what belongs together one indentation"),
    _Mistake("expected ':'", "no colon and space follow a key", "write `key: value`", at_beginning=True),
    _Mistake("end of stream", "what opens here is never closed", "close quote or bracket", at_beginning=True),
    _Mistake("',' or ']'", "this list is not closed", "close it with ], with commas between its items"),
    _Mistake("',' or '}'", "this mapping is not closed", "close it with }, with commas between its keys"),
    _Mistake("undefined alias", "an alias (*) of nothing", "mark what it stands for with & above it"),
    _Mistake("another document", "a second document begins here", "keep one, and take out the line ---"),
    _Mistake("not allowed here", "a second colon is on this line", "put the value in quotes"),
    _Mistake("cannot start any", "a character that cannot begin a value", "put the value in quotes"),
)
"""The first that fits is it."""

_OTHER = "look for a missing quote, bracket, or space after a colon"


def meaning(error: MarkedYAMLError) -> tuple[str, str, int]:
    """What is wrong, what to do, and on which line."""
    says = re.sub(r"\s+", " ", f"{error.context or ''} {error.problem or ''}").strip()
    known = next((mistake for mistake in _MISTAKES if mistake.says in says), None)
    begins, noticed = error.context_mark, error.problem_mark
    mark = (begins or noticed) if known and known.at_beginning else (noticed or begins)
    line = mark.line + 1 if mark else 1
    return (known.what, known.fix, line) if known else (says or "it cannot be read", _OTHER, line)
