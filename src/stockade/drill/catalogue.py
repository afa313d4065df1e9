"""The scenarios that come with Stockade, and those of a file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stockade.drill.scenario import Scenario, parse
from stockade.errors import UsageError


def shipped() -> dict[str, Scenario]:
    """Every shipped scenario by name, in the order of their files."""
    found = {}
    home = resources.files("stockade.drill") / "scenarios"
    for file in sorted(home.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            scenario = parse(_yaml(file.read_text(encoding="utf-8"), file.name), file.name)
            found[scenario.name] = scenario
    return found


def find(name: str) -> Scenario:
    """The scenario called `name`, or in the file of that name. Raises UsageError with what there is."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.exists():
            raise UsageError(f"there is no file {name}")
        return parse(_yaml(path.read_text(encoding="utf-8"), name), name)
    known = shipped()
    if name not in known:
        raise UsageError(f"there is no drill {name!r}; there are:\n  " + "\n  ".join(known))
    return known[name]


def _yaml(text: str, where: str) -> object:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UsageError(f"{where} is no YAML: {error}") from error
