"""The report: whole, offline, safe against what a history may hold, honest about what is not known, and small."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import report_world as world

from stockade.drill.judge import judge
from stockade.drill.report.as_json import as_json
from stockade.drill.report.facts import threshold, trial_facts
from stockade.drill.report.marks import clusters
from stockade.drill.report.model import Campaign, Trial
from stockade.drill.report.operations import ROWS_MAX
from stockade.drill.report.page import page
from stockade.drill.report.svg import Scale, powers, ticks
from stockade.drill.report.text import escape, seconds
from stockade.drill.verdict import Verdict

VOID = frozenset({"br", "meta", "path"})
POWER = world.scenario("controller-power-cut", "Power cut of a controller")
HOSTILE = "<script>alert('x')</script> \"&' \ud800 \x00"


class Reader(HTMLParser):
    """Reads a page and fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [attributes.get(attribute) or "" for name, attributes in self.seen if name == tag]


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def campaigns() -> tuple[Campaign, ...]:
    return world.everything()


@pytest.fixture(scope="module")
def whole(campaigns: tuple[Campaign, ...]) -> str:
    return page(campaigns)


def test_the_world_has_every_verdict(campaigns: tuple[Campaign, ...]) -> None:
    assert {each.judgement.verdict for one in campaigns for each in one.trials} == set(Verdict)


def test_tags_match_and_nothing_comes_from_elsewhere(whole: str) -> None:
    reader = read(whole)
    names = {name for name, _attributes in reader.seen}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    ids = [each for each in (attributes.get("id") for _name, attributes in reader.seen) if each]
    assert len(ids) == len(set(ids))
    assert all(each.removeprefix("#") in ids for each in reader.values("a", "href"))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?\s*(?:\w+:)?//|@import|url\(|@font-face", whole)
    assert not any(name.startswith("on") for _tag, attributes in reader.seen for name in attributes)


def test_every_figure_scales_and_is_named(whole: str) -> None:
    figures = [attributes for name, attributes in read(whole).seen if name == "svg"]
    assert len(figures) > 50
    assert all(each["role"] == "img" and each["viewbox"] for each in figures)
    assert len(re.findall(r"<svg [^>]*><title>[^<]+</title>", whole)) == len(figures)


def test_the_page_says_what_it_has_to(campaigns: tuple[Campaign, ...], whole: str) -> None:
    text = " ".join(read(whole).text)
    assert "Threats to validity" in text
    for campaign in campaigns:
        assert campaign.scenario.title in text
        assert campaign.scenario.why in text
        assert campaign.scenario.digest in text
        for trial in campaign.trials:
            assert f"stockade drill run {campaign.scenario.name} --seed {trial.judgement.seed}" in text
            assert f"stockade drill check {trial.file}" in text
    assert "rabbitmq-server" in text
    assert "48\xa0to\xa0100\xa0%" in text
    assert "not healed within" in text
    assert "declared ctl1 dead" in text


def test_hostile_text_stays_text() -> None:
    course = world.outage(
        3.0, error=HOSTILE, guard=((2.0, HOSTILE),), environment={HOSTILE: [HOSTILE]}, streams=world.FEW
    )
    plan = world.scenario("hostile", HOSTILE, why=HOSTILE)
    campaign = world.campaign(plan, course)
    finding = replace(campaign.trials[0].judgement.findings[0], title=HOSTILE, sentence=HOSTILE, evidence=(HOSTILE,))
    judgement = replace(campaign.trials[0].judgement, findings=(finding,), target=(HOSTILE,))
    trial = replace(campaign.trials[0], judgement=judgement, file=HOSTILE)
    text = page([Campaign(plan, (trial,))])
    assert "script" not in {name for name, _attributes in read(text).seen}
    assert "<script" not in text.lower()
    assert "\0" not in text
    text.encode()
    as_json([Campaign(plan, (trial,))]).encode()


def test_unknown_is_never_shown_as_good() -> None:
    campaign = world.campaign(POWER, *[world.outage(4.0, confirmed=None, streams=world.FEW)] * 2)
    assert {each.judgement.verdict for each in campaign.trials} == {Verdict.UNKNOWN}
    text = page([campaign])
    overview = text.partition('id="verdicts"')[2].partition("</section>")[0]
    assert "v-unknown" in overview
    assert "v-pass" not in overview
    assert not re.search(r'v-pass">(?:(?!</span>|</li>).)*UNKNOWN', text)
    assert text.count(">UNKNOWN</span>") == len(re.findall(r'verdict v-unknown">', text))
    assert "there is no curve" in text


def rows(text: str) -> int:
    tables = re.findall(r'<table class="operations">.*?</table>', text, re.DOTALL)
    return sum(each.count("<tr>") - 1 for each in tables)


def test_every_failed_operation_is_listed(campaigns: tuple[Campaign, ...]) -> None:
    for trial in campaigns[0].trials:
        failures = trial_facts(trial).failures
        text = page([Campaign(campaigns[0].scenario, (trial,))])
        assert rows(text) == len(failures) == sum(each.fail + each.info for each in trial.judgement.streams)
        assert world.Course().error in text


def test_of_very_many_failed_operations_it_says_how_many_are_left_out() -> None:
    trial = world.trial(POWER, world.outage(80.0, streams=world.FEW))
    count = len(trial_facts(trial).failures)
    assert count > ROWS_MAX
    text = page([Campaign(POWER, (trial,))])
    assert rows(text) == ROWS_MAX
    assert f"{count - ROWS_MAX} operations more were left out" in text


def test_a_write_without_an_end_is_listed_as_such() -> None:
    trial = world.trial(POWER, world.Course(streams=world.FEW))
    events = list(trial.history.events)
    last = max(i for i, each in enumerate(events) if each.f == "set-add" and each.kind == "ok")
    lost = events.pop(last)
    history = replace(trial.history, events=tuple(events))
    facts = trial_facts(Trial(history, judge(history), trial.file))
    assert [(each.outcome, each.where) for each in facts.failures] == [("no end", lost.key)]


def test_lost_records_are_counted(campaigns: tuple[Campaign, ...]) -> None:
    assert [trial_facts(each).lost for each in campaigns[2].trials] == [0, 2, 0]


def test_the_strictest_threshold_counts() -> None:
    expected = {"read-*": 14.0, "read-nova-external": 20.0, "*": 30.0}
    assert threshold(expected, "read-nova-external") == 14.0
    assert threshold(expected, "token") == 30.0
    assert threshold({"token": 1.0}, "token-use") is None


def repeated(campaign: Campaign, count: int) -> Campaign:
    trials = [campaign.trials[number % len(campaign.trials)] for number in range(count)]
    return replace(
        campaign,
        trials=tuple(
            replace(each, judgement=replace(each.judgement, trial=number), file=f"{number}.jsonl")
            for number, each in enumerate(trials, 1)
        ),
    )


def test_twelve_scenarios_of_five_trials_are_below_5_mb(campaigns: tuple[Campaign, ...]) -> None:
    many = [repeated(campaigns[number % 3], 5) for number in range(12)]
    renamed = [
        replace(each, scenario=each.scenario.model_copy(update={"name": f"{each.scenario.name}-{number}"}))
        for number, each in enumerate(many)
    ]
    text = page(renamed)
    read(text)
    assert text.count('<details class="trial"') == 60
    assert len(text.encode()) < 5_000_000


def test_of_twenty_trials_the_first_the_worst_and_the_bad_are_shown(campaigns: tuple[Campaign, ...]) -> None:
    good, bad = campaigns[0].trials, world.trial(campaigns[0].scenario, world.outage(20.0))
    trials = [*(good[number % 4] for number in range(18)), good[4], bad]
    campaign = repeated(replace(campaigns[0], trials=tuple(trials)), 20)
    text = page([campaign])
    shown = [int(each) for each in re.findall(r"<h3>Trial (\d+)</h3>", text)]
    assert shown == [1, 20]
    assert "In full below: 2 trials of 20" in text
    assert len(text.encode()) < 2_000_000


def test_json_is_the_same_each_time_and_has_the_facts(campaigns: tuple[Campaign, ...]) -> None:
    text = as_json(campaigns)
    assert text == as_json(campaigns)
    data = json.loads(text)
    assert text == json.dumps(data, indent=1, sort_keys=True) + "\n"
    assert [each["verdict"] for each in data["scenarios"]] == ["PASS", "PASS", "FAIL", "UNKNOWN"]
    first = data["scenarios"][0]
    assert first["summary"]["trials"] == 5
    assert first["lost_records"] == 0
    assert first["window"]["max_s"] == max(first["window"]["points_s"])
    assert len(first["trials"][0]["not_succeeded"]) == 67
    assert data["scenarios"][2]["window"]["unhealed"] == 1


def test_no_trial_is_an_error_and_no_campaign_is_an_empty_page() -> None:
    read(page([]))
    assert as_json([])
    with pytest.raises(ValueError, match="0 scenarios"):
        page([Campaign(POWER, ())])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-24.3, 125.7), (0, 0.004), (0, 86_400), (5, 5)])
def test_ticks_are_few_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert len(found) <= 9
    assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)


def test_scales() -> None:
    up = Scale(1, 1000, 300, 0, log=True)
    assert [round(up(each)) for each in (0.5, 1, 10, 1000, 5000)] == [300, 300, 200, 0, 0]
    assert powers(1, 12_000) == (1.0, 10.0, 100.0, 1000.0, 10_000.0)


def test_marks_that_are_near_share_a_number() -> None:
    assert clusters(()) == ()
    assert clusters((0.1, 0.11, 0.15, 0.5, 0.9)) == ((0, 1, 2), (3,), (4,))


def test_words() -> None:
    assert [seconds(each) for each in (None, 0, 0.05, 4.04, 123.4)] == ["\u2013", "0 s", "0.05 s", "4.0 s", "123 s"]
    assert escape("<a href='x'>\x1b\u202e") == "&lt;a href=&#x27;x&#x27;&gt;\ufffd\ufffd"
