"""The table of rules, and the golden files that break them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockade.cloud import document, resolve
from stockade.cloud.document import Wrong
from stockade.cloud.fields import keys_at, walk
from stockade.cloud.fit import shaped
from stockade.cloud.resolve import Draft
from stockade.cloud.rules import RULES, judge
from stockade.cloud.rules.rule import Rule

BAD = Path(__file__).parents[1] / "golden" / "cloud" / "bad"


def drafts() -> list[Draft]:
    files = [shaped(document.read(path.read_text()).data).file for path in sorted(BAD.glob("*.yaml"))]
    return [resolve.draft(file) for file in files if file]


def test_every_rule_is_broken_by_some_bad_file() -> None:
    broken = {rule.sentence for draft in drafts() for rule in RULES if list(rule.check(draft))}
    assert broken == {rule.sentence for rule in RULES}


def test_every_rule_is_a_sentence() -> None:
    assert all(rule.sentence.endswith(".") for rule in RULES)
    assert len({rule.sentence for rule in RULES}) == len(RULES)


def test_rules_read_only_keys_there_are() -> None:
    for rule in RULES:
        for read in rule.reads:
            *above, key = read.split(".")
            keys = set()
            for name in ("management", "external", "tenant"):
                keys |= set(keys_at(tuple(name if part in "*@" else part for part in above)))
            assert key in "*@" or key in keys, read


@pytest.mark.parametrize(
    ("reads", "about", "unknown", "depends"),
    [
        ("hosts.*.roles", ("hosts",), ("hosts", "a", "roles", 0), True),
        ("hosts.*.roles", ("hosts",), ("hosts", "a", "bmc"), False),
        ("hosts.@.roles", ("hosts", "a", "roles"), ("hosts", "b", "roles"), False),
        ("hosts.@.roles", ("hosts", "a", "roles"), ("hosts", "a", "roles"), True),
        ("hosts.@.roles", ("hosts", "a", "roles"), ("hosts",), True),
        ("networks", ("networks", "tenant", "vlans"), ("networks", "storage", "cidr"), True),
        ("networks.@.cidr", ("networks", "tenant", "cidr"), ("networks", "storage", "cidr"), False),
        ("machines", ("networks", "tenant"), (), True),
    ],
)
def test_depends_on(
    reads: str,
    about: tuple[str, ...],
    unknown: tuple[str | int, ...],
    depends: bool,  # noqa: FBT001 a table's column
) -> None:
    rule = Rule("Something.", lambda _draft: (), (reads,))
    assert rule.depends_on(unknown, Wrong(about, "what", "fix")) is depends


def test_nothing_is_said_of_a_file_of_which_nothing_is_known() -> None:
    file = shaped({}).file
    assert file is not None
    said = {wrong.path for wrong in judge(resolve.draft(file), {("name",), ("machines",), ("hosts",)})}
    assert said == set()


def test_every_key_is_described_with_an_example() -> None:
    for key in walk():
        assert key.description.endswith("."), key.path
        assert key.section or key.example is not None, key.path
