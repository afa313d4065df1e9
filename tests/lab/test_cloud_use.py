"""The demo: a user's day, told twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cloud_user
import pytest
from cloud_handle import Cloud, poll
from cloud_measure import record

from stockade.demo.story import NAME

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
MAKEFILE = Path(__file__).parents[2] / "Makefile"


def _resources(cloud: Cloud) -> dict[str, set[str]]:
    """Everything the story makes, by kind and id."""

    def look() -> dict[str, set[str]]:
        user = cloud_user.connect(cloud.model)
        found = {
            "servers": user.compute.servers(name=NAME),
            "volumes": user.block_storage.volumes(name=NAME),
            "networks": user.network.networks(),
            "subnets": user.network.subnets(),
            "routers": user.network.routers(),
            "floating": user.network.ips(),
            "groups": user.network.security_groups(name=NAME),
            "flavors": user.compute.flavors(),
            "images": user.image.images(),
        }
        return {kind: {each.id for each in entries} for kind, entries in found.items()}

    return cloud.user(look)


def test_the_story_ends_with_a_vm_that_answers(cloud: Cloud) -> None:
    ran = cloud.run("demo", timeout_s=600)
    assert ran.returncode == 0, str(ran)
    record("demo", seconds=ran.seconds)
    address = cloud.user(lambda: cloud_user.demo_address(cloud.model))
    assert f"http://{address}/" in ran.stdout
    assert cloud.user(lambda: cloud_user.ping(address))
    status = cloud.user(lambda: cloud_user.page(address))
    assert status.writer.last > 0
    # The counter goes on, and nothing that was counted is missing.
    later = poll(
        "the counter to go on",
        lambda: (now := cloud.user(lambda: cloud_user.page(address))).writer.last > status.writer.last and now,
        timeout_s=30,
    )
    assert later.writer.gaps == 0
    assert later.writer.errors == 0


def test_make_demo_again_makes_nothing_new(cloud: Cloud) -> None:
    before = _resources(cloud)
    address = cloud.user(lambda: cloud_user.demo_address(cloud.model))
    boot_id = cloud.user(lambda: cloud_user.page(address)).boot_id
    # `make demo` itself, with the program that is under test in place of one it would install.
    recipe = subprocess.run(
        ["make", "--dry-run", "--file", str(MAKEFILE), "demo"],
        cwd=MAKEFILE.parent, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.splitlines()  # fmt: skip
    commands = [line.split() for line in recipe if line.split()[0].endswith("/stockade")]
    assert [command[1:] for command in commands] == [["up"], ["demo"]]
    total = 0.0
    for _program, *arguments in commands:
        ran = cloud.run(*arguments, timeout_s=600)
        assert ran.returncode == 0, str(ran)
        total += ran.seconds
    record("make demo, again", seconds=total)
    assert _resources(cloud) == before
    assert cloud.user(lambda: cloud_user.page(address)).boot_id == boot_id


def test_router_is_highly_available(cloud: Cloud) -> None:
    def look() -> list[tuple[str, str]]:
        user = cloud_user.connect(cloud.model)
        router = user.network.find_router(NAME)
        agents = user.network.routers_hosting_l3_agents(router.id)
        return [(agent.host, str(agent.ha_state)) for agent in agents]

    agents = poll(
        "one router to be active",
        lambda: (found := cloud.user(look)) and sum(state == "active" for _host, state in found) == 1 and found,
        timeout_s=60,
    )
    assert {host for host, _state in agents} == set(cloud.controllers)


def test_volume_is_in_ceph_three_times(cloud: Cloud) -> None:
    volume = cloud.user(lambda: next(iter(cloud_user.connect(cloud.model).block_storage.volumes(name=NAME))).id)
    first = cloud.controllers[0]
    assert f"volume-{volume}" in cloud.out(first, "rbd -p volumes ls").splitlines()
    assert cloud.out(first, "ceph osd pool get volumes size -f json | grep -o '\"size\":3'")
