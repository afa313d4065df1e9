"""Secrets are in files only their readers can read; never in arguments, sentences or the answer to a status."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from build_world import CLOUDS, World, context, perfect

from stockade.build.context import Context
from stockade.build.engine import Engine
from stockade.build.model import Bundles
from stockade.build.plan import plan
from stockade.build.render import render
from stockade.build.secrets import Secrets
from stockade.build.services.keystone import admin
from stockade.cloud import paths
from stockade.machines.fake import FakeProgress

VRRP_PREFIX = 8
"""Neutron's VRRP password: all that the protocol takes of it."""


class CountedSecrets(Secrets):
    """Real secrets that remember under which kind each name was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, set[str]] = {}

    def password(self, name: str) -> str:
        """As ever."""
        self.kinds.setdefault(name, set()).add("password")
        return super().password(name)

    def uuid(self, name: str) -> str:
        """As ever."""
        self.kinds.setdefault(name, set()).add("uuid")
        return super().uuid(name)

    def fernet_key(self, name: str) -> str:
        """As ever."""
        self.kinds.setdefault(name, set()).add("fernet key")
        return super().fernet_key(name)

    def ceph_key(self, name: str) -> str:
        """As ever."""
        self.kinds.setdefault(name, set()).add("ceph key")
        return super().ceph_key(name)

    def hidden(self) -> dict[str, str]:
        """What nobody else may see: not the UUIDs, which are names, and not the certificates."""
        values = {name: self.text(name) or "" for name, kinds in self.kinds.items() if "uuid" not in kinds}
        values |= {name: value for name in self.names() if name.endswith(".key") and (value := self.text(name))}
        values["neutron.vrrp cut"] = values["neutron.vrrp"][:VRRP_PREFIX]
        return {name: value.splitlines()[1] if value.startswith("-----") else value for name, value in values.items()}

    def names(self) -> list[str]:
        """Names of all there are."""
        return list(self._values)


class Made:
    """A cloud rendered with real secrets."""

    def __init__(self, cloud: str) -> None:
        self.secrets = CountedSecrets()
        self.context: Context = context(cloud, self.secrets)
        self.bundles: Bundles = render(self.context)
        self.hidden = self.secrets.hidden()

    def in_text(self, text: str) -> list[str]:
        """Names of the secrets that stand in `text`."""
        return [name for name, value in self.hidden.items() if value in text]


MADE = {cloud: Made(cloud) for cloud in CLOUDS}
PLACES = [
    (cloud, host, place)
    for cloud, made in MADE.items()
    for host, bundle in made.bundles.items()
    for place in range(sum(len(stage.files) for stage in bundle.stages))
]


def test_there_are_secrets_to_look_for() -> None:
    for made in MADE.values():
        assert {"database.nova", "rabbit.nova", "keystone.admin", "ceph.client.cinder", "tls.ca.key"} <= set(
            made.hidden
        )
        assert len(made.hidden) > 30
        assert all(len(value) >= VRRP_PREFIX for value in made.hidden.values())


@settings(max_examples=len(PLACES), deadline=None, derandomize=True)
@given(st.sampled_from(PLACES))
def test_files_with_secrets_say_so_and_are_closed_to_others(place: tuple[str, str, int]) -> None:
    cloud, host, number = place
    made = MADE[cloud]
    file = [file for stage in made.bundles[host].stages for file in stage.files][number]
    found = made.in_text(file.content)
    if found:
        assert file.secret, f"{file.path} holds {found} and would be shown in a diff"
    if found or file.secret:
        assert not file.mode & 0o007, f"{file.path} holds {found} and everyone may read it"
        assert not file.mode & 0o020, f"{file.path} can be written by its group"
    if file.owner != "root":
        assert file.mode & 0o077 == 0 or not found, f"{file.path} is its daemon's own, so nobody else needs it"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_secret_resources_say_so(cloud: str) -> None:
    made = MADE[cloud]
    for bundle in made.bundles.values():
        for stage in bundle.stages:
            for each in (*stage.before_start, *stage.resources):
                if made.in_text(json.dumps(each.desired)):
                    assert each.secret, f"{stage.service}: {each.name}"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_sentence_of_a_plan_has_a_secret(cloud: str) -> None:
    made = MADE[cloud]
    nothing: dict[str, object] = {"files": {}, "units": {}, "masked": {}, "packages": {}}
    facts = {host: nothing | {"resources": perfect(bundle)["resources"]} for host, bundle in made.bundles.items()}
    changes = plan(made.bundles, facts).changes
    assert len(changes) > 100
    assert made.in_text("\n".join(f"{each.subject} {each.sentence}" for each in changes)) == []


def test_no_secret_is_an_argument_of_a_command_on_a_host() -> None:
    world = World(context("lab", CountedSecrets()))
    world.up()
    secrets = world.context.secrets
    assert isinstance(secrets, CountedSecrets)
    asked = [entry for transport in world.machines.transports.values() for entry in transport.asked]
    values = secrets.hidden().values()
    assert sum(any(value in stdin for value in values) for _argv, stdin in asked) > 20, "they do travel, on stdin"
    for argv, _stdin in asked:
        assert not any(value in word for word in argv for value in values)


def test_no_secret_is_shown_while_it_works_or_in_a_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    (tmp_path / "lab").mkdir()
    world = World(context("lab"))
    progress = FakeProgress()
    engine = Engine(world.cloud, world.machines, progress)
    prepared = asyncio.run(engine.prepare())
    done = asyncio.run(engine.apply(prepared)).done
    answers = asyncio.run(engine.status())
    kept = Secrets.load(tmp_path / "lab" / "secrets.json")
    secret = [kept.text(name) or "?" for name in ("database.nova", "rabbit.cookie", "keystone.admin", "fernet.0")]
    shown = f"{progress.shown} {done} {answers}"
    assert not [value for value in secret if value in shown]
    again = asyncio.run(Engine(world.cloud, world.machines, progress).prepare())
    assert again.plan.changes == (), "the next run reads the same secrets"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_name_stands_for_two_kinds_of_secret(cloud: str) -> None:
    assert {name: kinds for name, kinds in MADE[cloud].secrets.kinds.items() if len(kinds) > 1} == {}


def test_the_admins_password_goes_to_hosts_in_requests_only() -> None:
    made = MADE["lab"]
    password = admin(made.context)["password"]
    for bundle in made.bundles.values():
        for stage in bundle.stages:
            assert not [file.path for file in stage.files if password in file.content]
