"""What does not fit the shape of a cloud file, in an operator's words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic_core import ErrorDetails

from stockade.cloud.document import Path, Wrong
from stockade.cloud.fields import field_at, keys_at, words_of
from stockade.cloud.scalars import OWN_ERROR, show

_NOUNS = {
    "roles": "role",
    "machines": "kind of machines",
    "mode": "mode",
    "writers": "number of writers",
    "ha_profile": "profile",
    "segmentation": "segmentation",
    "default": "policy",
}
"""What the values of a closed list are called, by key."""


def _stands(data: object, path: Path) -> bool:
    """True if `data` has a key at `path`, be it with nothing after it."""
    *above, last = path
    for part in above:
        data = data.get(part) if isinstance(data, dict) else None
    return isinstance(data, dict) and last in data


def misfit(path: Path, detail: ErrorDetails, data: object) -> Wrong:
    """What is wrong at `path` of `data`, by the error that pydantic gave."""
    value = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            what, fix = f"there is no such key in {_where(path[:-1])}", _known(path)
        case "missing":
            what, fix = "is empty" if _stands(data, path) else "is missing", _like(path)
        case "enum":
            what, fix = _not_in_list(path, value)
        case "literal_error":
            what, fix = (
                f"{show(value)} is not a BMC",
                "give its url, username and password_file, or the word none",
            )
        case "greater_than_equal" | "less_than_equal":
            what, fix = f"{value} is out of range", _range(path)
        case kind if kind == OWN_ERROR:
            what, fix = str(detail["ctx"]["what"]), str(detail["ctx"]["fix"])
        case _:
            what, fix = f"is {kind_of(value)}, not {_wanted(detail['type'])}", _like(path)
    return Wrong(path, what, fix)


def kind_of(value: object) -> str:
    """What `value` is, as YAML writes it."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "union_tag_invalid": "a mapping",
    "model_attributes_type": "a mapping",
}


def _wanted(kind: str) -> str:
    return _WANTED.get(kind, "what belongs here")


def _not_in_list(path: Path, value: object) -> tuple[str, str]:
    noun = next((_NOUNS[str(part)] for part in reversed(path) if part in _NOUNS), "value")
    found = field_at(path)
    words = words_of(found[1]) if found else ()
    if not isinstance(value, str):
        return f"is {kind_of(value)}, not a {noun}", f"use {_any_of(words)}"
    meant = _suggest(value, words)
    return f"unknown {noun} {show(value)}", f'did you mean "{meant}"?' if meant else f"use {_any_of(words)}"


def _suggest(word: str, words: Iterable[str]) -> str | None:
    words = list(words)
    plain = word.lower().replace("-", "_")
    alike = {known.lower().replace("-", "_"): known for known in words}
    close = difflib.get_close_matches(plain, alike, n=1, cutoff=0.6)
    return alike[close[0]] if close else None


def _any_of(words: Iterable[str]) -> str:
    words = list(words)
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)


def _where(path: Path) -> str:
    return ".".join(str(part) for part in path) or "a cloud file"


def meant_key(path: Path) -> str | None:
    """The key that a misspelt one at the end of `path` seems to mean."""
    return _suggest(str(path[-1]), keys_at(path[:-1]))


def _known(path: Path) -> str:
    meant = meant_key(path)
    return f'did you mean "{meant}"?' if meant else f"it takes {', '.join(keys_at(path[:-1]))}"


def _range(path: Path) -> str:
    limits: dict[str, object] = {}
    found = field_at(path)
    for rule in found[1].metadata if found else ():
        limits |= {name: getattr(rule, name) for name in ("ge", "le") if hasattr(rule, name)}
    return f"use a whole number from {limits.get('ge')} to {limits.get('le')}"


def _like(path: Path) -> str:
    """How the key at `path` is written, by its field's example."""
    found = field_at(path)
    if found is None or not found[1].examples:
        return "see the guide to the cloud file"
    return f"write it like `{found[0]}: {flow(found[1].examples[0])}`"


def flow(value: object) -> str:
    """`value` as YAML on one line."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(flow(item) for item in value) + "]"
        case _:
            return str(value)
