"""Changes of the cloud file: one option, one compute more. What is not concerned is not touched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cloud_units
import cloud_user
import pytest
from cloud_handle import Cloud, poll
from cloud_measure import record
from cloud_user import Poller, polling
from ruamel.yaml import YAML

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

OPTION = {"ctl": "/etc/nova/nova.conf", "cmp": "/etc/nova/nova-compute.conf"}
"""What an option of Nova's is written to, by the beginning of the host's name."""
NEW = "cmp3"


def _edited(file: Path, place: Path, **sections: object) -> Path:
    """A copy of a cloud file with more in it."""
    yaml = YAML()
    data = yaml.load(file.read_text())
    for name, value in sections.items():
        if isinstance(data.get(name), dict) and isinstance(value, dict):
            data[name].update(value)
        else:
            data[name] = value
    with place.open("w") as out:
        yaml.dump(data, out)
    return place


@pytest.fixture(scope="module")
def optioned(built: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud file with one option more. From these tests on it is the cloud's: they are the last ones."""
    options = {"nova": {"DEFAULT": {"max_concurrent_builds": 9}}}
    return _edited(built.file, tmp_path_factory.mktemp("files") / "option.yaml", options=options)


def test_one_option_restarts_what_reads_it_one_controller_at_a_time(cloud: Cloud, optioned: Path) -> None:
    model, file = cloud.model, optioned
    bundles = cloud.prepare().bundles
    written = {(host, OPTION[host[:3]]) for host in cloud.hosts}
    expected = {(host, unit) for host, path in written for unit in cloud_units.readers(bundles[host], [path])}
    planned = cloud.plan(file)
    assert {(each["host"], each["subject"]) for each in planned if each["kind"] == "unit"} == expected
    assert {(each["host"], each["subject"]) for each in planned if each["kind"] == "file"} == written
    before = cloud_units.starts(cloud, bundles)
    tokens = Poller("token", lambda: cloud_user.token(model), 1.0)
    servers = Poller("list", lambda: list(cloud_user.connect(model).compute.servers(limit=5)), 1.0)
    with polling(cloud, tokens, servers):
        changed = cloud.up(file)
    after = cloud_units.starts(cloud, bundles)
    record(
        "one option", up_s=changed.seconds, restarts=changed.restarts,
        **{f"{each.name}_failed": f"{len(each.failures)}/{each.sent}" for each in (tokens, servers)},
    )  # fmt: skip
    assert cloud_units.restarted(before, after) == expected
    assert changed.restarts == len(expected)
    spans = sorted(
        (min(starts), max(ends), host)
        for host in cloud.controllers
        for starts, ends in [
            (
                [after[key].began for key in expected if key[0] == host],
                [after[key].active for key in expected if key[0] == host],
            )
        ]
    )
    for (_began, ended, one), (began, _ended, other) in itertools.pairwise(spans):
        assert ended <= began, f"{one} and {other} were restarted at the same time: {spans}"
    assert tokens.sent > 5
    assert servers.sent > 5
    assert (tokens.failures, servers.failures) == ([], [])


@pytest.fixture
def larger(cloud: Cloud, optioned: Path, tmp_path: Path) -> Iterator[Path]:
    """The file with one compute more; afterwards the new machine is off and forgotten by the services."""
    file = _edited(optioned, tmp_path / "larger.yaml", hosts={NEW: {"roles": ["compute"]}})
    cloud.up(optioned)
    yield file
    cloud.run("power", NEW, "off", file=file)
    cloud.up(optioned)

    def forget() -> None:
        user = cloud_user.connect(cloud.model)
        for service in list(user.compute.services(host=NEW)):
            user.compute.delete_service(service)
        for agent in list(user.network.agents(host=NEW)):
            user.network.delete_agent(agent)

    cloud.user(forget)


def test_one_compute_more_is_all_that_is_added(cloud: Cloud, optioned: Path, larger: Path) -> None:
    model = cloud.model
    bundles = cloud.prepare().bundles
    before = cloud_units.starts(cloud, bundles)
    added = cloud.up(larger)
    record("one compute more", up_s=added.seconds, changes=added.changes, restarts=added.restarts)
    assert added.restarts == 0
    assert cloud_units.restarted(before, cloud_units.starts(cloud, bundles)) == set()
    assert cloud.plan(larger) == []
    ran_on = poll(
        "a VM on the new compute",
        lambda: cloud.user(lambda: cloud_user.boot_and_delete(model, f"nova:{NEW}"), timeout_s=300),
        timeout_s=120,
    )
    assert ran_on == NEW
    # Out of the file again: left alone, and nothing else is touched either.
    again = cloud.up(optioned)
    assert again.restarts == 0
    assert cloud_units.restarted(before, cloud_units.starts(cloud, bundles)) == set()
    assert cloud.plan(optioned) == []
