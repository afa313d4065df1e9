"""`up` killed anywhere: the next run goes on from there, and ends with the same healthy cloud."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import cloud_user
import pytest
from cloud_handle import Cloud
from cloud_kill import EARLY_S, LATE_S, converges, killed_up, make_work
from cloud_measure import record

SEED = int(os.environ.get("STOCKADE_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
PROOF = Path(__file__).parents[2] / "docs" / "proof" / "killed-up.jsonl"
TRIALS, FULL_TRIALS = 2, 20
EDITS, FULL_EDITS = 1, 4
"""Files edited on each controller: each means restarts one host at a time, which is what such a trial spends its
minutes on."""


def _trial(cloud: Cloud, seed: int, number: int, trials: int, edits: int) -> dict[str, object]:
    """One kill; the trials' points are spread over the whole run, each at random in its own share."""
    rng = random.Random(seed)
    share = (LATE_S - EARLY_S) / trials
    after_s = EARLY_S + share * (number + rng.random())
    work = make_work(cloud, rng, edits)
    killed, said = killed_up(cloud, after_s)
    phase = (said.strip().splitlines() or ["nothing yet"])[-1].strip()
    figures: dict[str, object] = {"seed": seed, "after_s": round(after_s, 1), "killed": killed, "last_said": phase}
    print(figures, *work, sep="\n  ")
    again, seconds = converges(cloud)
    figures |= {"left_changes": again.changes, "restarts": again.restarts, "converged_s": round(seconds, 1)}
    cloud.user(lambda: cloud_user.boot_and_delete(cloud.model), timeout_s=300)
    return figures


@pytest.mark.lab
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(TRIALS))
def test_up_killed_at_a_random_point_converges(cloud: Cloud, number: int) -> None:
    figures = _trial(cloud, SEED + number, number, TRIALS, EDITS)
    record("up killed", **figures)
    # One that had already ended proves nothing about a kill.
    assert figures["killed"], figures


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(FULL_TRIALS))
def test_up_killed_at_twenty_points_converges(cloud: Cloud, number: int) -> None:
    """Resumable: a trial whose result is on file is not run again; delete its line to have it anew."""
    PROOF.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in PROOF.read_text().splitlines()] if PROOF.exists() else []
    figures = next((each for each in known if each["trial"] == number), None)
    if figures is None:
        figures = {"trial": number, **_trial(cloud, 1000 + number, number, FULL_TRIALS, FULL_EDITS), "converged": True}
        with PROOF.open("a") as file:
            file.write(json.dumps(figures) + "\n")
    record("up killed, campaign", **figures)
    assert figures["converged"]
