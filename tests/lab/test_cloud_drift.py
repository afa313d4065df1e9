"""Thirty deviations, made from the services' own values: `plan` names each and nothing else, `up` mends them."""

from __future__ import annotations

import os
import random

import cloud_secrets
import cloud_units
import cloud_user
import pytest
from cloud_drift import Deviation, Makers, batches
from cloud_handle import Change, Cloud, poll
from cloud_measure import record

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

SEED = int(os.environ.get("STOCKADE_DRIFT_SEED") or random.SystemRandom().randrange(1 << 32))
BATCHES, SIZE = 2, 15


def _sentence(change: Change) -> str:
    return f"{change['host']} {change['service']}: {change['sentence']}"


@pytest.fixture(scope="module")
def chosen(built: Cloud) -> list[list[Deviation]]:
    """All batches, decided beforehand, so that the seed alone says what they are."""
    makers = Makers(built, built.prepare())
    return [list(batch) for batch in batches(makers, random.Random(SEED), BATCHES, SIZE)]


@pytest.mark.parametrize("number", range(BATCHES), ids=lambda number: f"batch{number + 1}")
def test_drift_is_found_and_mended(cloud: Cloud, chosen: list[list[Deviation]], number: int) -> None:
    batch, model = chosen[number], cloud.model
    print(f"STOCKADE_DRIFT_SEED={SEED} makes:", *map(str, batch), sep="\n  ")
    bundles = cloud.prepare().bundles
    for deviation in batch:
        deviation.act(cloud)
    # A VIP that had to move is back before anything is asked through it.
    poll("a token", lambda: cloud.user(lambda: cloud_user.token(model, 5)) is None, timeout_s=60)
    before = cloud_units.starts(cloud, bundles)
    found = cloud.plan()
    missed = [str(each) for each in batch if not any(each.named_by(change) for change in found)]
    strange = [_sentence(change) for change in found if not any(each.explains(change) for each in batch)]
    watch = cloud_secrets.ArgvWatch()
    with watch.watching():
        mended = cloud.up()
    touched = cloud_units.restarted(before, cloud_units.starts(cloud, bundles))
    record("drift", seed=SEED, batch=number + 1, deviations=len(batch), up_s=mended.seconds, changes=len(found))
    assert missed == [], f"seed {SEED}: `plan` does not see"
    assert strange == [], f"seed {SEED}: `plan` names what nobody touched"
    due = {(change["host"], change["subject"]) for change in found if change["kind"] == "unit"}
    assert touched <= due, f"seed {SEED}: restarted without need"
    assert mended.healthy
    assert cloud.plan() == []
    assert watch.found(cloud_secrets.values(cloud)) == []
    address = cloud.user(lambda: cloud_user.demo_address(model))
    poll("the demo's VM", lambda: cloud.user(lambda: cloud_user.ping(address)), timeout_s=60)
    cloud.user(lambda: cloud_user.boot_and_delete(model), timeout_s=300)
    cloud.user(lambda: cloud_user.volume_and_delete(model), timeout_s=200)


def test_thirty_deviations_of_many_kinds(chosen: list[list[Deviation]]) -> None:
    """The generator itself: enough of them, and not thirty times the same."""
    assert sum(map(len, chosen)) == 30
    assert len({each.kind for batch in chosen for each in batch}) >= 25
