"""Who has which role: from what real hosts answered, and by looking again while things move."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence

import pytest

from stockade.cloud.load import lab_example, load
from stockade.drill import roles
from stockade.drill.observe import galera
from stockade.drill.scenario import TargetRole
from stockade.drill.scene import Scene, Things
from stockade.errors import HostError
from stockade.machines.base import Completed
from stockade.machines.fake import FakeMachines

STATISTICS = """\
# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck
database,FRONTEND,,,25,26,8192,49,946169,1748901,0,0,0,,,,,OPEN,,,
database,ctl1,0,0,25,26,256,49,946169,1748901,,0,,0,0,0,0,{one},1,1,0
database,ctl2,0,0,0,0,256,0,0,0,,0,,0,0,0,0,{two},1,0,1
database,ctl3,0,0,0,0,256,0,0,0,,0,,0,0,0,0,UP,1,0,1
database,BACKEND,0,0,25,26,820,49,946169,1748901,0,0,,0,0,0,0,UP,1,1,2
nova-api,ctl1,0,0,0,1,256,12,4096,8192,,0,,0,0,0,0,UP,1,1,0
"""


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [("UP", "UP", "ctl1"), ("DOWN", "UP", "ctl2"), ("MAINT", "DOWN", "ctl3"), ("UP 1/2", "UP", "ctl1")],
)
def test_the_writer_is_the_first_server_that_is_up(one: str, two: str, expected: str) -> None:
    assert roles.writer(STATISTICS.format(one=one, two=two)) == expected


def test_without_a_server_that_is_up_there_is_no_writer() -> None:
    assert roles.writer(STATISTICS.format(one="DOWN", two="DOWN").replace(",UP,1,0,1", ",DOWN,1,0,1")) is None
    assert roles.writer("") is None


def test_leaders_are_counted_by_host() -> None:
    queues = """[
{"name":"reply_ctl2:nova-conductor:1","leader":"rabbit@ctl1"}
,{"name":"scheduler.ctl2","leader":"rabbit@ctl3"}
,{"name":"compute","leader":"rabbit@ctl3"}
,{"name":"classic","leader":""}
]"""
    assert roles.leaders(queues).most_common() == [("ctl3", 2), ("ctl1", 1)]


def test_holders_have_the_address_and_not_one_that_begins_like_it() -> None:
    addresses = {
        "ctl1": "2: mgmt    inet 10.77.0.11/24 brd 10.77.0.255 scope global mgmt\n",
        "ctl2": "2: mgmt    inet 10.77.0.10/32 scope global mgmt\n",
        "ctl3": "2: mgmt    inet 10.77.0.100/32 scope global mgmt\n",
    }
    assert roles.holders(addresses, "10.77.0.10") == ("ctl2",)


def test_a_members_place_in_the_database() -> None:
    text = (
        "wsrep_cluster_size\t3\nwsrep_cluster_state_uuid\t5f3a-77\nwsrep_last_committed\t4711\n"
        "wsrep_local_state_comment\tSynced\n"
    )
    assert galera(text) == {"cluster": "5f3a-77", "state": "Synced", "seqno": 4711, "size": 3}
    with pytest.raises(KeyError):
        galera("wsrep_cluster_size\t3\n")


@pytest.fixture
def scene() -> Scene:
    cloud = load(lab_example())
    return Scene(cloud, FakeMachines(cloud), Things("router", "b1f0-no-such-server", "volume", "10.77.3.100", {}), list)


def answers(scene: Scene, **texts: str) -> None:
    """Let each host answer every question with its text; those not named are down."""
    machines = scene.machines
    assert isinstance(machines, FakeMachines)
    for name, transport in machines.transports.items():
        transport.reachable = name in texts

        def answer(_argv: Sequence[str], _stdin: str, text: str = texts.get(name, "")) -> Completed:
            return Completed(0, text, "")

        transport.answer = answer


def test_the_holder_of_the_vip_is_found_among_those_that_answer(scene: Scene) -> None:
    answers(scene, ctl1="inet 10.77.0.11/24 x\n", ctl2=f"inet {scene.cloud.internal_vip}/32 x\n")
    assert asyncio.run(roles.resolve(scene, TargetRole.VIP_HOLDER)) == ("ctl2",)


def test_a_vip_on_two_hosts_is_nobodys(scene: Scene) -> None:
    held = f"inet {scene.cloud.internal_vip}/32 x\n"
    answers(scene, ctl1=held, ctl2=held, ctl3="")
    with pytest.raises(HostError, match="ctl1, ctl2"):
        asyncio.run(roles.resolve(scene, TargetRole.VIP_HOLDER))


def test_the_guards_leader_is_not_made_up(scene: Scene) -> None:
    with pytest.raises(HostError, match="none in this cloud"):
        asyncio.run(roles.resolve(scene, TargetRole.GUARD_LEADER))


def test_the_writer_is_asked_of_whoever_answers(scene: Scene) -> None:
    answers(scene, ctl3=STATISTICS.format(one="DOWN", two="UP"))
    assert asyncio.run(roles.resolve(scene, TargetRole.EVERYTHING)) == ("ctl2",)


def test_the_host_of_the_vm_is_the_one_that_runs_it(scene: Scene) -> None:
    answers(scene, cmp1="", cmp2="here\n")
    assert asyncio.run(roles.resolve(scene, TargetRole.VM_HOST)) == ("cmp2",)
    answers(scene, cmp1="here\n", cmp2="here\n")
    with pytest.raises(HostError, match="cmp1 and cmp2"):
        asyncio.run(roles.resolve(scene, TargetRole.VM_HOST))


def test_who_asks_for_the_vm_does_not_find_itself(scene: Scene) -> None:
    """A shell has what it runs in its own command line."""
    machines = scene.machines
    assert isinstance(machines, FakeMachines)

    def really(argv: Sequence[str], _stdin: str) -> Completed:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return Completed(done.returncode, done.stdout, done.stderr)

    for transport in machines.transports.values():
        transport.answer = really
    with pytest.raises(HostError, match="no compute"):
        asyncio.run(roles.resolve(scene, TargetRole.VM_HOST))
