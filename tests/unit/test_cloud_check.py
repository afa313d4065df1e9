"""Static findings; their texts are golden (tests/golden/cloud/good), here is when they come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stockade.cloud.check import CHECKS, Finding, Severity, check
from stockade.cloud.load import lab_example, load
from stockade.cloud.model import Cloud, Network, Plane, Role

LAB = load(lab_example())
SERVERS = load(lab_example().parent / "servers.yaml")


def with_controllers(count: int) -> Cloud:
    first = LAB.controllers[0]
    more = tuple(replace(first, name=f"x{number}") for number in range(count - len(LAB.controllers)))
    return replace(LAB, hosts=(*LAB.hosts, *more))


@pytest.mark.parametrize("cloud", [LAB, SERVERS])
def test_the_examples_are_sound(cloud: Cloud) -> None:
    """But for what no cloud file can help: there is no guard yet."""
    found = [finding for finding in check(cloud) if finding.severity is not Severity.INFO]
    assert ["moves no VM" in finding.sentence for finding in found] == [True]


def test_findings_come_gravest_first_and_say_what_to_do() -> None:
    alone = replace(LAB.host("cmp1"), roles=frozenset({Role.COMPUTE, Role.STORAGE}), bmc=None)
    found = check(replace(LAB, hosts=(*LAB.controllers, alone)))
    order = [list(Severity).index(finding.severity) for finding in found]
    assert order == sorted(order)
    assert order[0] == 0
    assert all(finding.fix.endswith(".") and finding.sentence.endswith(".") for finding in found)


@pytest.mark.parametrize(("count", "lost"), [(3, 1), (5, 2), (7, 3), (9, 4)])
def test_majority_arithmetic(count: int, lost: int) -> None:
    said = [finding.sentence for finding in check(with_controllers(count))]
    assert any(line.startswith(f"{count} controllers: any {lost} may be lost at once") for line in said)
    assert any("each write waits for" in line for line in said) == (count > 7)


def test_long_lists_are_cut() -> None:
    hosts = tuple(replace(host, bmc=None) for host in with_controllers(9).hosts[1:])
    said = check(replace(LAB, hosts=(LAB.hosts[0], *hosts)))
    assert any("(ctl2, ctl3, cmp1, cmp2, x0 and 5 more)" in finding.sentence for finding in said)


def test_every_check_finds_something_somewhere() -> None:
    bare = tuple(
        replace(host, bmc=None, nics=dict.fromkeys(host.nics, "eth0"), osd_disks=("file:9G",)) for host in SERVERS.hosts
    )
    near = tuple(
        replace(host, bmc=replace(host.bmc, url="http://10.20.0.99", serial="")) for host in SERVERS.hosts if host.bmc
    )
    both = replace(LAB.hosts[3], roles=frozenset(Role))
    clouds = [
        LAB,
        replace(SERVERS, hosts=bare),
        replace(SERVERS, hosts=near, networks={**SERVERS.networks, **_closed(SERVERS)}),
        replace(LAB, hosts=(*LAB.controllers, both), api_workers=9),
    ]
    silent = {look.__name__ for look in CHECKS if not any(list(look(cloud)) for cloud in clouds)}
    assert silent == set()


def _closed(cloud: Cloud) -> dict[Plane, Network]:
    return {plane: replace(network, gateway=None, pool=None) for plane, network in cloud.networks.items()}


def test_finding_is_a_value() -> None:
    assert Finding(Severity.INFO, "a.", "b.") == Finding(Severity.INFO, "a.", "b.")
