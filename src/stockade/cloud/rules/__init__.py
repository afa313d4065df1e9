"""How the values of a cloud file must fit together: a table of rules, each a small function over a draft.

A rule that depends on something unreadable must not guess. So each names the paths it `reads`, and what it
says is dropped where one of them is unknown: a misspelt role is one problem, not also an even number of
controllers.
"""

from __future__ import annotations

from collections.abc import Collection

from stockade.cloud.document import Path, Wrong
from stockade.cloud.resolve import Draft
from stockade.cloud.rules import access, addresses, names, networks, roles, settings
from stockade.cloud.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *names.RULES,
    *roles.RULES,
    *networks.RULES,
    *addresses.RULES,
    *access.RULES,
    *settings.RULES,
)


def judge(draft: Draft, unknown: Collection[Path] = ()) -> list[Wrong]:
    """All that is wrong with `draft`, leaving out what depends on `unknown` paths. Never raises."""
    return [
        wrong
        for rule in RULES
        for wrong in rule.check(draft)
        if not any(rule.depends_on(path, wrong) for path in unknown)
    ]
