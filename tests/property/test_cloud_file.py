"""Whatever is done to a cloud file, it becomes a sound cloud or a list of problems with places; nothing
else.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from stockade.cloud.check import check
from stockade.cloud.errors import CloudFileError
from stockade.cloud.load import lab_example, parse
from stockade.cloud.model import Cloud, Plane, Role

EXAMPLES = [path.read_text() for path in sorted(lab_example().parent.glob("*.yaml"))]
TREES = [YAML(typ="safe", pure=True).load(text) for text in EXAMPLES]
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

WORDS = st.sampled_from(
    [
        "lab",
        "ssh",
        "none",
        "controller",
        "storage",
        "compute",
        "vlan",
        "vxlan",
        "active-passive",
        "file:8G",
        "/dev/sdb",
        "eno1",
        "ctl1",
        "~",
        "10.77.0.0/24",
        "10.77.0.11",
        "10.77.0.1/24",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "255.255.255.255/32",
        "255.255.255.0/24",
        "10.77.3.1-10.77.3.254",
        "255.255.255.254-255.255.255.255",
        "100-199",
        "https://10.0.0.1",
        "http://[::1",
        "<map>",
        "<word>",
        "[key]",
        "{what}",
        "a.b",
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70000), st.integers(), st.floats(), st.text(max_size=20), WORDS
)
NAMES = st.sampled_from(["roles", "number", "cidr", "vip", "bmc", "nics", "hosts", "<<"])
KEYS = st.one_of(WORDS, st.text(max_size=12), NAMES)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
MARKS = st.sampled_from(list("{}[]&*!|>%@`\"'#:-?,\t\n\x00\u2028"))


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


@st.composite
def changed(draw: st.DrawFn) -> str:
    """An example with some of its values replaced, removed, added, or moved from elsewhere in it, as YAML."""
    tree = _copy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 4))):
        here = places(tree)
        if not here:
            break
        *above, last = draw(st.sampled_from(here))
        parent = tree
        for part in above:
            parent = parent[part]
        match draw(st.sampled_from(["replace", "remove", "add", "copy"])):
            case "replace":
                parent[last] = draw(VALUES)
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[draw(KEYS)] = draw(VALUES)
            case "add":
                parent.append(draw(VALUES))
            case _:
                parent[last] = _copy(_at(tree, draw(st.sampled_from(places(tree)))))
    return dump(tree)


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(item) for item in tree] if isinstance(tree, list) else tree


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def dump(tree: object) -> str:
    out = StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    return str(out.getvalue())


@st.composite
def garbled(draw: st.DrawFn) -> str:
    """An example's text with pieces cut out, doubled or put in."""
    text = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        piece = draw(st.one_of(st.just(""), st.text(max_size=8), MARKS, WORDS))
        text = text[:start] + piece + draw(st.sampled_from(["", text[start:end]])) + text[end:]
    return text


def outcome(text: str) -> Cloud | CloudFileError:
    """What `parse` makes of `text`; any other exception than its own fails the test."""
    try:
        return parse(text, "cloud.yaml")
    except CloudFileError as error:
        return error


def hold(text: str) -> None:
    """What must be true of any text."""
    result = outcome(text)
    if isinstance(result, Cloud):
        sound(result)
        return
    lines = max(1, len(text.splitlines()))
    for problem in result.problems:
        assert 1 <= problem.line <= lines, problem
        assert problem.what.strip(), problem
        assert problem.fix.strip(), problem
        assert "\n" not in str(problem), problem


def sound(cloud: Cloud) -> None:
    """What must be true of any cloud that is accepted."""
    for plane, network in cloud.networks.items():
        used = [host.addresses[plane] for host in cloud.hosts if plane in host.addresses]
        used += [address for address in (network.vip, network.gateway) if address]
        assert len(set(used)) == len(used), plane
        for address in used:
            assert address in network.cidr
            assert address not in (network.cidr.network_address, network.cidr.broadcast_address)
            assert not (network.pool and network.pool[0] <= address <= network.pool[1])
    networks = list(cloud.networks.values())
    assert not any(a.cidr.overlaps(b.cidr) for a in networks for b in networks if a is not b)
    for host in cloud.hosts:
        assert {Plane.MANAGEMENT, Plane.STORAGE, Plane.TENANT} <= set(host.addresses)
        assert host.roles
        assert bool(host.osd_disks) == (Role.STORAGE in host.roles)
        assert host.ssh.address
    assert len(cloud.controllers) >= 3
    assert len(cloud.controllers) % 2 == 1
    assert cloud.internal_vip != cloud.external_vip
    assert check(cloud)


@RELAXED
@given(changed())
def test_changed_examples(text: str) -> None:
    hold(text)


@RELAXED
@given(garbled())
@example("a: !!binary x")
@example("%YAML 1.1\n---\na: 012")
@example("? {a: 1}\n: 2")
@example("a: &a\n  b: *a")
@example("\ufeffname: lab")
@example("name: lab\rmachines: lab")
@example("hosts: { <map>: { roles: 5 }, <word>: {} }")
def test_garbled_examples(text: str) -> None:
    hold(text)


@RELAXED
@given(VALUES)
def test_any_yaml(tree: object) -> None:
    hold(dump(tree))


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_themselves(text: str) -> None:
    assert isinstance(outcome(text), Cloud)


@RELAXED
@given(
    st.permutations(["controller"] * 3 + ["storage"] * 3 + ["compute"] * 12),
    st.lists(st.integers(1, 254), unique=True, min_size=18, max_size=18),
    st.sets(st.integers(0, 17)),
)
def test_lab_addresses_never_clash(roles: list[str], numbers: list[int], given_to: set[int]) -> None:
    """In any order of hosts, with any of them numbered by hand: accepted and sound, or refused with a
    reason.
    """
    hosts = {
        f"h{index}": {"roles": [role]} | ({"number": numbers[index]} if index in given_to else {})
        for index, role in enumerate(roles)
    }
    hold(dump({"name": "lab", "machines": "lab", "hosts": hosts}))
