"""Configuration files as lists of settings, each of which may carry the reason it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import wrap

HEADER = "# Written by stockade; changes made here are undone by the next `stockade up`.\n"


@dataclass(frozen=True, slots=True)
class Setting:
    """One option of an oslo.config file. `why` is printed above it."""

    section: str
    option: str
    value: str
    why: str = ""


def section(name: str, /, **options: object) -> list[Setting]:
    """Settings of one section that need no reason: `section("api", auth_strategy="keystone")`."""
    return [Setting(name, option, _text(value)) for option, value in options.items()]


def reasoned(name: str, option: str, value: object, why: str) -> Setting:
    """A setting with its reason."""
    return Setting(name, option, _text(value), why)


def render(settings: Iterable[Setting], overrides: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """The file's text, sections in order of first appearance; `overrides` replace or add options, by section.

    A later setting of the same option replaces an earlier one, in the earlier one's place.
    """
    table: dict[str, dict[str, Setting]] = {}
    for setting in settings:
        table.setdefault(setting.section, {})[setting.option] = setting
    for name, options in (overrides or {}).items():
        for option, value in options.items():
            table.setdefault(name, {})[option] = Setting(name, option, value, "set in the cloud file")
    blocks = []
    for name, entries in table.items():
        lines = [f"[{name}]"]
        for setting in entries.values():
            lines += [f"# {line}" for line in wrap(setting.why, 108)]
            lines.append(f"{setting.option} = {setting.value}")
        blocks.append("\n".join(lines) + "\n")
    return HEADER + "\n" + "\n".join(blocks)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value)
