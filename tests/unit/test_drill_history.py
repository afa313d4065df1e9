"""Histories as text: what is written is what is read, and what is cut off is noticed."""

from __future__ import annotations

import pytest
from build_history import Trial, good, ns

from stockade.drill.history import Event, HistoryError, Kind, decode, encode, read


def test_an_event_is_read_as_it_was_written() -> None:
    event = Event(
        index=4, time_ns=0, kind=Kind.INFO, f="set-add", process="load", start_ns=0, lag_ns=3, key="r1",
        value={"a": [1, None]}, node="ctl1", endpoint="https://vip", error="reset",
    )  # fmt: skip
    assert decode(encode(event), 1) == event


def test_what_does_not_apply_is_not_written() -> None:
    assert encode(Event(index=0, time_ns=5, kind=Kind.END)) == '{"index":0,"time_ns":5,"kind":"end"}'


@pytest.mark.parametrize("line", ["", "x", "1", "[]", "{}", '{"kind":"ok"}', '{"index":1,"time_ns":2,"kind":"odd"}'])
def test_a_line_that_is_no_event_is_named(line: str) -> None:
    with pytest.raises(HistoryError, match="line 7 "):
        decode(line, 7)


def test_a_whole_history() -> None:
    history = good().history()
    assert history.whole
    assert not history.torn
    assert history.header["trial"] == 3
    assert history.streams() == ("set-add", "token", "writer")
    assert history.step_ns("heal") == ns(65)
    assert history.step_ns("gave-up") is None
    assert history.end_ns == ns(100)
    assert [each.value["healthy"] for each in history.observed("health")] == [False, True]


def test_a_last_line_that_is_cut_off_is_left_out_and_noted() -> None:
    text = good().text().rstrip("\n")
    history = read(text[:-1].splitlines())
    assert history.torn
    assert not history.whole
    assert history.events == good().history().events[:-1]


def test_without_its_end_it_is_not_whole() -> None:
    made = good()
    made.ends_at = None
    assert not made.history().torn
    assert not made.history().whole


def test_a_line_in_the_middle_must_be_an_event() -> None:
    lines = good().text().splitlines()
    lines[3] = lines[3][:-2]
    with pytest.raises(HistoryError, match="line 4 "):
        read(lines)


@pytest.mark.parametrize("first", [[], ['{"index":0,"time_ns":0,"kind":"end"}'], ['{"index":0,"ti']])
def test_it_begins_with_a_run(first: list[str]) -> None:
    with pytest.raises(HistoryError, match="no history of a drill"):
        read(first)


def test_another_schema_is_refused() -> None:
    made = Trial()
    made.header["schema"] = 99
    with pytest.raises(HistoryError, match="another version"):
        made.history()


def test_completions_are_in_the_order_of_their_intended_starts() -> None:
    made = Trial().op("token", 1, took_s=5).op("token", 2).op("other", 1.5)
    assert [each.start_ns for each in made.history().completions("token")] == [ns(1), ns(2)]
    assert [each.f for each in made.history().completions()] == ["token", "other", "token"]
