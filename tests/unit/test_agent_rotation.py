"""Fernet keys rotate without a token that some controller cannot read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockade.agent.rotation import Repository, due, rotate
from stockade.build.services.base import FERNET_MAX_ACTIVE, FERNET_ROTATION_S

FIRST = Repository(1, {"0": "staged", "1": "primary"})


def primary(keys: Mapping[str, str]) -> str:
    """The key that makes tokens."""
    return keys[max(keys, key=int)]


def test_the_staged_key_becomes_primary_and_a_fresh_one_is_staged() -> None:
    after = rotate(FIRST, "fresh", 50.0, 5)
    assert after == Repository(2, {"0": "fresh", "1": "primary", "2": "staged"}, 50.0)
    assert FIRST.keys == {"0": "staged", "1": "primary"}, "the argument is left alone"


def test_the_oldest_go_first() -> None:
    now = FIRST
    for number in range(6):
        now = rotate(now, f"fresh {number}", 0, 4)
    assert now.keys == {"0": "fresh 5", "5": "fresh 2", "6": "fresh 3", "7": "fresh 4"}


@pytest.mark.parametrize(
    ("rotated_at", "acknowledged", "yes", "why"),
    [
        (0.0, {"a": 4, "b": 4, "c": 4}, True, "on every controller that answers"),
        (0.0, {"a": 5, "b": 4, "c": None}, True, "on every controller that answers"),
        (0.0, {"a": 4, "b": 3, "c": 4}, False, "b has not taken revision 4 yet"),
        (0.0, {"a": 3, "b": 3, "c": None}, False, "a, b has not taken revision 4 yet"),
        (0.0, {"a": None, "b": None, "c": None}, False, "no controller has acknowledged"),
        (40.0, {"a": 4, "b": 4, "c": 4}, False, "rotated 60 s ago"),
        (-0.0, {"a": 4}, True, "100 s old"),
    ],
)
def test_due(rotated_at: float, acknowledged: dict[str, int | None], yes: bool, why: str) -> None:  # noqa: FBT001
    now = Repository(4, {"0": "x", "1": "y"}, rotated_at)
    answer, sentence = due(now, acknowledged, wall_s=100.0, period_s=100.0)
    assert answer is yes
    assert why in sentence


def test_no_key_is_dropped_while_a_token_made_with_it_is_valid() -> None:
    """A token lives an hour, and services may use it two days longer (allow_expired_window)."""
    life_s = 3600 + 48 * 3600
    secondary = FERNET_MAX_ACTIVE - 2  # one is staged, one is primary
    assert secondary * FERNET_ROTATION_S >= life_s


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(3, 7),
    st.lists(st.one_of(st.tuples(st.just("take"), st.integers(0, 2)), st.tuples(st.just("rotate"), st.just(0)))),
)
def test_controllers_that_lag_by_one_revision_read_each_others_tokens(
    max_active: int, steps: list[tuple[str, int]]
) -> None:
    repository = FIRST
    held = [FIRST, FIRST, FIRST]
    fresh = 0
    for step, who in steps:
        if step == "take":
            held[who] = repository
        else:
            acknowledged = {str(number): each.revision for number, each in enumerate(held)}
            if due(repository, acknowledged, wall_s=1e9, period_s=1.0)[0]:
                fresh += 1
                repository = rotate(repository, f"fresh {fresh}", 0.0, max_active)
        assert len(repository.keys) <= max_active
        assert "0" in repository.keys
        assert len(set(repository.keys.values())) == len(repository.keys)
        for maker in held:
            for reader in held:
                if reader.revision >= maker.revision - 1:
                    assert primary(maker.keys) in reader.keys.values()
        assert max(each.revision for each in held) - min(each.revision for each in held) <= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=12), st.integers(2, 6))
def test_any_number_of_rotations_keeps_the_newest_keys_in_order(keys: list[str], max_active: int) -> None:
    now = FIRST
    for key in keys:
        now = rotate(now, key, 0.0, max_active)
    made = ["primary", "staged", *keys]
    assert now.revision == 1 + len(keys)
    in_order = [value for _number, value in sorted(now.keys.items(), key=lambda entry: int(entry[0]))]
    assert in_order[0] == made[-1], "the last one made is staged"
    assert in_order[1:] == made[:-1][-(max_active - 1) :]
