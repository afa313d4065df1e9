"""The document against the shape of a cloud file: what fits it, what does not, and what is therefore unknown."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stockade.cloud.document import Path, Wrong
from stockade.cloud.explain import kind_of, meant_key, misfit
from stockade.cloud.file import CloudFile

_MAX_PASSES = 10
"""Each pass takes away what the one before complained of; two are enough in practice (a key with a wrong
value that is required becomes a missing one), and whatever is left after these is dropped with the rules
unasked."""

_STAND_INS: Mapping[str, object] = {"name": "cloud", "machines": "lab", "hosts": {}, "roles": []}
"""What keeps the shape whole where a required key is missing, so that the rules can look at the rest."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A document's good part, what was wrong with the rest, and the paths that are therefore unknown."""

    file: CloudFile | None
    wrongs: tuple[Wrong, ...]
    unknown: frozenset[Path]


def shaped(data: object) -> Shaped:
    """Fit `data` into a `CloudFile`; never raises."""
    if not isinstance(data, dict):
        fix = "begin with `name: ...`, `machines: ...` and `hosts:`"
        return Shaped(None, (Wrong((), f"the file is {kind_of(data)}, not a mapping", fix),), frozenset({()}))
    rest = deepcopy(data)
    first: list[tuple[Path, ErrorDetails]] = []
    file = None
    for _attempt in range(_MAX_PASSES):
        try:
            file = CloudFile.model_validate(rest)
            break
        except ValidationError as error:
            details = [(_path(detail), detail) for detail in error.errors(include_url=False)]
        first = first or details
        missing = {path: detail["type"] == "missing" for path, detail in details}
        for path in reversed(missing):  # so that taking one item out of a list moves no other that is due
            _mend(rest, path, missing=missing[path])
    wrongs = tuple(misfit(path, detail, data) for path, detail in first)
    unknown = {_hidden(path, detail) for path, detail in first} if file else {()}
    return Shaped(file, wrongs, frozenset(unknown))


_MARKS = ("<map>", "<word>")
"""What pydantic adds to a location to say which arm of a union it means; see `stockade.cloud.file_hosts.Bmc`."""


def _path(detail: ErrorDetails) -> Path:
    loc = detail["loc"]
    return tuple(
        part for above, part in zip((None, *loc), loc, strict=False) if not (above == "bmc" and part in _MARKS)
    )


def _hidden(path: Path, detail: ErrorDetails) -> Path:
    """The path an error makes unknown: the key, or what a misspelt key was meant to be."""
    meant = meant_key(path) if detail["type"] == "extra_forbidden" else None
    return (*path[:-1], meant) if meant else path


def _mend(data: Any, path: Path, *, missing: bool) -> None:
    """Take what is at `path` out of `data`, or put a stand-in there."""
    *above, last = path or ("",)
    try:
        for part in above:
            data = data[part]
    except (KeyError, IndexError, TypeError):  # what was above it is already gone
        return
    if isinstance(data, dict):
        if missing:
            data[last] = deepcopy(_STAND_INS.get(str(last)))
        else:
            data.pop(last, None)
    elif isinstance(data, list) and isinstance(last, int) and last < len(data):
        del data[last]
