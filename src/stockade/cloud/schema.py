"""The JSON Schema of the cloud file, so that editors complete and check it while it is written."""

from __future__ import annotations

import json
from typing import Any

from stockade.cloud.file import CloudFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, made from the models."""
    made: dict[str, Any] = _plain(CloudFile.model_json_schema())
    return {"$schema": DIALECT, **made, "title": "Stockade cloud file"}


def schema_text() -> str:
    """The schema as it stands in `schema.json`."""
    return json.dumps(schema(), indent=2) + "\n"


def _plain(part: Any) -> Any:
    """`part` without null defaults and titles made from names, and with sections that may be empty."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    made: dict[str, Any] = {
        key: value if key in ("examples", "enum", "required") else _plain(value)
        for key, value in part.items()
        if not (key == "default" and value is None) and not (key == "title" and isinstance(value, str))
    }
    needed = made.get("required", ())
    for key, below in made.get("properties", {}).items():
        if key not in needed:
            made["properties"][key] = _or_empty(below)
    return made


def _or_empty(part: dict[str, Any]) -> dict[str, Any]:
    """Let a section be left empty, as `stockade.cloud.section` does."""
    if part.get("type") == "object":
        return {**part, "type": ["object", "null"]}
    if "$ref" not in part:
        return part
    rest = {key: value for key, value in part.items() if key != "$ref"}
    return {"anyOf": [{"$ref": part["$ref"]}, {"type": "null"}], **rest}
