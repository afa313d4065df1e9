"""Who forms a Galera cluster and who joins: a table, and what must hold of any words the members say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockade.agent.election import NEVER, Member, decide

OLD, NEW = "11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000"
FRESH = Member()
UP = Member(running=True, primary=True)
STUCK = Member(running=True)
NAMES = ("ctl1", "ctl2", "ctl3")


def at(seqno: int, *, uuid: str = OLD, safe: bool = False) -> Member:
    """A member that is down with its data at `seqno`."""
    return Member(uuid=uuid, seqno=seqno, safe_to_bootstrap=safe)


def said(*members: Member | None) -> dict[str, Member | None]:
    return dict(zip(NAMES, members, strict=True))


@pytest.mark.parametrize(
    ("me", "members", "action", "sentence"),
    [
        ("ctl1", said(FRESH, FRESH, FRESH), "form", "no member has ever been in a cluster, and this is the first"),
        ("ctl2", said(FRESH, FRESH, FRESH), "wait", "ctl1 holds the newest commits"),
        ("ctl2", said(UP, FRESH, FRESH), "join", "ctl1 is in a primary component"),
        ("ctl3", said(None, UP, at(5)), "join", "ctl2 is in a primary component"),
        ("ctl1", said(UP, at(5), at(5)), "wait", "runs already"),
        ("ctl1", said(at(5), None, at(5)), "wait", "no word from ctl2"),
        ("ctl1", said(at(5), None, None), "wait", "no word from ctl2, ctl3"),
        ("ctl2", said(at(5), at(7), at(6)), "form", f"newest commits ({OLD}:7)"),
        ("ctl1", said(at(5), at(7), at(6)), "wait", "ctl2 holds the newest commits"),
        ("ctl3", said(at(5), at(5), at(5, safe=True)), "form", "newest commits"),
        ("ctl1", said(at(5), at(5), at(5)), "form", "newest commits"),
        ("ctl1", said(FRESH, at(0), FRESH), "wait", "ctl2 holds the newest commits"),
        ("ctl1", said(at(9), at(5, uuid=NEW), at(9)), "wait", "an operator must choose"),
        ("ctl1", said(at(9), at(-1), at(9)), "wait", "ctl2 cannot tell how far its data goes"),
        ("ctl1", said(at(-1), at(-1), at(-1)), "wait", "ctl1 cannot tell how far its data goes"),
        ("ctl1", said(at(9), Member(running=True, starting=True), at(9)), "wait", "ctl2 is starting"),
        ("ctl1", said(at(9), STUCK, at(9)), "join", "ctl2 runs without a majority"),
    ],
)
def test_decisions(me: str, members: dict[str, Member | None], action: str, sentence: str) -> None:
    decision = decide(me, members)
    assert decision.action == action
    assert sentence in decision.sentence


DOWN = st.builds(
    Member,
    uuid=st.sampled_from([NEVER, OLD, OLD, OLD, NEW]),
    seqno=st.integers(-1, 4),
    safe_to_bootstrap=st.booleans(),
)
RUNNING = st.builds(Member, running=st.just(True), starting=st.booleans(), primary=st.booleans())
WORDS = st.lists(st.one_of(DOWN, DOWN, DOWN, RUNNING, st.none()), min_size=3, max_size=5).map(
    lambda members: {f"ctl{number}": member for number, member in enumerate(members, 1)}
)
MANY = settings(max_examples=400, deadline=None, derandomize=True)


def formers(words: dict[str, Member | None]) -> list[str]:
    """Who would form a cluster on these words."""
    return [name for name in words if decide(name, words).action == "form"]


@MANY
@given(WORDS)
def test_never_two_from_the_same_words(words: dict[str, Member | None]) -> None:
    assert len(formers(words)) <= 1


@MANY
@given(WORDS)
def test_never_while_anybody_is_silent_or_runs_or_cannot_tell_or_remembers_another_history(
    words: dict[str, Member | None],
) -> None:
    if formers(words):
        assert None not in words.values()
        members = [member for member in words.values() if member]
        assert not any(member.running or member.primary for member in members)
        assert len({member.uuid for member in members} - {NEVER}) <= 1
        assert not any(member.uuid != NEVER and member.seqno < 0 for member in members)


@MANY
@given(WORDS)
def test_whoever_forms_lacks_no_commit_that_another_has(words: dict[str, Member | None]) -> None:
    for name in formers(words):
        mine = words[name]
        assert mine is not None
        for other in words.values():
            assert other is not None
            if other.uuid != NEVER:
                assert mine.uuid == other.uuid
                assert mine.seqno >= other.seqno


@MANY
@given(st.lists(st.builds(at, st.integers(0, 5), safe=st.booleans()), min_size=3, max_size=5))
def test_a_cluster_that_is_down_as_a_whole_always_comes_back(members: list[Member]) -> None:
    words: dict[str, Member | None] = {f"ctl{number}": member for number, member in enumerate(members, 1)}
    assert len(formers(words)) == 1


@MANY
@given(WORDS, st.data())
def test_one_who_lost_a_word_that_another_heard_still_forms_no_second_cluster(
    words: dict[str, Member | None], data: st.DataObject
) -> None:
    """A partition hides members from some: whoever forms has heard all, so it is the same one for everybody."""
    hidden = data.draw(st.sets(st.sampled_from(sorted(words))))
    forming = set()
    for name in words:
        heard = {other: None if other in hidden and other != name else member for other, member in words.items()}
        if decide(name, heard).action == "form":
            forming.add(name)
    assert len(forming) <= 1


@MANY
@given(WORDS)
def test_nobody_that_runs_is_told_to_do_anything(words: dict[str, Member | None]) -> None:
    for name, member in words.items():
        if member is None or member.running:
            assert decide(name, words).action == "wait"


@MANY
@given(WORDS)
def test_with_a_primary_known_everyone_else_joins_it(words: dict[str, Member | None]) -> None:
    if any(member and member.primary for member in words.values()):
        down = [name for name, member in words.items() if member and not member.running]
        assert {decide(name, words).action for name in down} <= {"join"}
