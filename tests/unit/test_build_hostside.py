"""The host side as it really runs: sent as text to a Python of its own, on a host whose places are in a temporary
directory; and what it makes of other programs' answers.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import grp
import hashlib
import importlib
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import stockade.build.hostside
from stockade.build.hostside import (
    ceph,
    checks,
    client,
    haproxy,
    hardware,
    ovs,
    packages,
    preflight,
    rabbit,
    shell,
    units,
)
from stockade.build.remote import call
from stockade.errors import BuildError
from stockade.machines.base import Completed
from stockade.machines.fake import FakeTransport

Json = dict[str, Any]
ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name
SYSTEMCTL = """#!/bin/sh
# Units are files: their first line says active or not.
echo "$*" >>{root}/systemctl.log
verb=$1; shift
for unit; do :; done
case $verb in
show) shift; first=1; for unit; do
    [ $first ] || echo; first=
    state=$(cat {root}/state/$unit 2>/dev/null || echo inactive)
    printf 'Id=%s\\nLoadState=loaded\\nActiveState=%s\\nSubState=running\\nUnitFileState=enabled\\n' $unit $state
  done;;
is-enabled) for unit; do echo enabled; done;;
is-active) grep -qx active {root}/state/$unit;;
start|restart|reload) case $unit in broken*) exit 1;; esac; echo active >{root}/state/$unit;;
stop) for unit; do echo inactive >{root}/state/$unit; done;;
esac
"""


class LocalHost:
    """A transport to this computer, with the places of the host side moved below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.argv: list[Sequence[str]] = []
        (root / "bin").mkdir()
        (root / "state").mkdir()
        (root / "units").mkdir()
        for name, text in {"systemctl": SYSTEMCTL, "journalctl": "#!/bin/sh\necho it was broken\n"}.items():
            path = root / "bin" / name
            path.write_text(text.replace("{root}", str(root)))
            path.chmod(0o755)

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run it here."""
        self.argv.append(argv)
        sent = json.loads(stdin)
        for place, here in {
            "/run/stockade": "run",
            "/var/lib/stockade": "lib",
            "/etc/systemd/system": "units",
        }.items():
            sent["modules"] = {
                name: text.replace(f'"{place}', f'"{self.root / here}') for name, text in sent["modules"].items()
            }
        done = subprocess.run(  # noqa: ASYNC221  nothing else runs meanwhile
            [sys.executable, "-I", *argv[1:]],
            input=json.dumps(sent),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
        )
        for line in done.stderr.splitlines():
            if on_line:
                on_line(line)
        return Completed(done.returncode, done.stdout, done.stderr)

    async def close(self) -> None:
        """Nothing to end."""

    def ask(self, do: str, **request: Any) -> Any:
        """The answer to one request."""
        return asyncio.run(call(self, "here", {"do": do, **request}, timeout_s=60))

    def apply(self, **parts: Any) -> list[str]:
        """Apply one step."""
        empty: Json = {
            name: []
            for name in ("packages", "directories", "files", "stale", "mask", "unmask", "before", "units", "resources")
        }
        done: list[str] = self.ask("apply", service="web", preseed="", **(empty | parts))["done"]
        return done

    def commands(self) -> list[str]:
        """What systemctl was asked, changes only."""
        path = self.root / "systemctl.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith(("show", "is-active"))]


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    return LocalHost(tmp_path)


def a_file(path: Path, content: str = "hello\n", mode: int = 0o640) -> Json:
    return {"path": str(path), "content": content, "owner": ME, "group": MINE, "mode": mode}


class TestOverTheWire:
    """Requests to a real process."""

    def test_facts_of_files_and_units(self, host: LocalHost, tmp_path: Path) -> None:
        there = tmp_path / "there"
        there.write_text("hello\n")
        there.chmod(0o604)
        (tmp_path / "link").symlink_to(there)
        (tmp_path / "lib" / "applied").mkdir(parents=True)
        (tmp_path / "lib" / "applied" / "web").write_text("marker of web")
        (tmp_path / "state" / "web.service").write_text("active\n")
        (tmp_path / "units" / "stray.service").symlink_to("/dev/null")
        (tmp_path / "units" / "loose.service").touch()
        names = ["there", "link", "missing", ".", "there/below"]
        facts = host.ask(
            "facts",
            files=[str(tmp_path / name) for name in names],
            units=["web", "other"],
            masked=["stray", "loose", "unheard-of"],
            packages=[],
            resources=[{"key": "k", "name": "n", "program": "no_such_program", "desired": {}}],
        )
        found = [facts["files"][str(tmp_path / name)] for name in names]
        digest = hashlib.sha256(b"hello\n").hexdigest()
        assert found[0] == {"type": "file", "owner": ME, "group": MINE, "mode": 0o604, "sha256": digest}
        assert found[1]["type"] == "other"
        assert found[2] is None
        assert found[3]["type"] == "directory"
        assert found[4] is None
        assert facts["units"]["web"]["active"] == "active"
        assert facts["units"]["web"]["marker"] == "marker of web"
        assert facts["units"]["other"]["marker"] == ""
        assert facts["masked"] == {"stray": True, "loose": False}
        assert facts["resources"]["k"][0].startswith("cannot be read yet: "), "that it cannot be told is a difference"

    def test_nobody_is_asked_where_nothing_was_ever_started(self, host: LocalHost) -> None:
        resource = {"key": "k", "name": "n", "program": "no_such_program", "desired": {}}
        facts = host.ask("facts", files=[], units=["web"], masked=[], packages=[], resources=[resource])
        assert facts["resources"] == {"k": ["not there yet"]}

    def test_apply_makes_files_and_directories_and_says_so(self, host: LocalHost, tmp_path: Path) -> None:
        place = tmp_path / "made"
        directory = {"path": str(place), "owner": ME, "group": MINE, "mode": 0o750}
        wanted = a_file(place / "deeper" / "file", mode=0o400)
        assert host.apply(directories=[directory], files=[wanted]) == [f"wrote {place}/deeper/file"]
        assert (place.stat().st_mode & 0o7777) == 0o750
        assert ((place / "deeper" / "file").stat().st_mode & 0o7777) == 0o400
        host.apply(files=[wanted | {"content": "again\n"}])
        assert (place / "deeper" / "file").read_text() == "again\n"
        assert [path.name for path in (place / "deeper").iterdir()] == ["file"], "something was left beside it"

    def test_a_link_is_replaced_by_the_file_and_its_target_is_left_alone(self, host: LocalHost, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("not ours\n")
        (tmp_path / "file").symlink_to(tmp_path / "target")
        host.apply(files=[a_file(tmp_path / "file")])
        assert not (tmp_path / "file").is_symlink()
        assert (tmp_path / "target").read_text() == "not ours\n"

    def test_a_directory_in_a_files_place_is_not_removed(self, host: LocalHost, tmp_path: Path) -> None:
        (tmp_path / "file").mkdir()
        with pytest.raises(BuildError, match="is a directory where a file belongs"):
            host.apply(files=[a_file(tmp_path / "file")])

    def test_units_are_started_and_remembered(self, host: LocalHost, tmp_path: Path) -> None:
        boot = {"name": "web", "verb": "start", "marker": "m1", "at_boot": True}
        agent = {"name": "guest", "verb": "", "marker": "m2", "at_boot": False}
        assert host.apply(units=[boot, agent]) == ["start web"]
        assert [line for line in host.commands() if "reset-failed" not in line] == [
            "enable --quiet --no-reload web.service",
            "start web.service",
            "disable --quiet --no-reload guest.service",
        ]
        markers = tmp_path / "lib" / "applied"
        assert (markers / "web").read_text() == "m1"
        assert (markers / "guest").read_text() == "m2"
        host.apply(stale=["web", "never-there"])
        assert not (markers / "web").exists()
        assert (markers / "guest").exists()

    def test_a_unit_that_fails_comes_back_with_its_log_and_without_a_marker(
        self, host: LocalHost, tmp_path: Path
    ) -> None:
        with pytest.raises(BuildError) as caught:
            host.apply(units=[{"name": "broken", "verb": "restart", "marker": "m", "at_boot": True}])
        assert caught.value.unit == "broken"
        assert caught.value.log == ("it was broken",)
        assert "journalctl -u broken" in caught.value.next_step
        assert not (tmp_path / "lib" / "applied" / "broken").exists()

    def test_a_unit_file_is_loaded_before_its_unit_is_started(self, host: LocalHost, tmp_path: Path) -> None:
        unit = {"name": "web", "verb": "start", "marker": "m", "at_boot": True}
        host.apply(files=[a_file(tmp_path / "units" / "web.service")], units=[unit])
        commands = host.commands()
        assert commands.index("daemon-reload") < commands.index("start web.service")

    def test_masks_and_what_unmasks_them(self, host: LocalHost, tmp_path: Path) -> None:
        link = tmp_path / "units" / "tgt.service"
        link.write_text("[Unit]\n")
        host.apply(mask=["tgt"])
        assert link.readlink() == Path("/dev/null")
        assert host.commands()[-1] == "stop tgt.service"
        host.apply(unmask=["tgt", "never-masked"])
        assert not link.exists()

    def test_wait_asks_until_the_answer_is_yes(self, host: LocalHost, tmp_path: Path) -> None:
        check = {"name": "web", "kind": "unit_active", "args": {"units": ["web"]}, "timeout_s": 20}

        def later() -> None:
            (tmp_path / "state" / "web").write_text("active\n")

        timer = threading.Timer(0.7, later)
        timer.start()
        assert host.ask("wait", checks=[check]) == {"failed": {}}
        timer.join()

    def test_a_unit_that_has_just_begun_is_not_steady_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shell, "ok", lambda _argv: True)
        monkeypatch.setattr(shell, "run", lambda _argv: str(int((time.monotonic() - 5) * 1e6)))
        assert checks.unit_active(["web"], steady_s=10) == (False, "started less than 10 s ago: web")
        assert checks.unit_active(["web"], steady_s=2)[0]

    def test_units_held_back_on_purpose_are_not_missed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shell, "ok", lambda _argv: False)
        assert not checks.unit_active(["web"], unless=str(tmp_path / "hold"))[0]
        (tmp_path / "hold").touch()
        assert checks.unit_active(["web"], unless=str(tmp_path / "hold"))[0]

    def test_wait_says_what_never_became_well(self, host: LocalHost) -> None:
        check = {"name": "web", "kind": "unit_active", "args": {"units": ["web", "db"]}, "timeout_s": 0.1}
        assert host.ask("wait", checks=[check]) == {"failed": {"web": "not running: web, db"}}

    def test_status_answers_every_check_and_survives_those_that_raise(self, host: LocalHost) -> None:
        wrong = {"name": "a", "kind": "memcached", "args": {"address": "127.0.0.1", "port": 1}, "timeout_s": 1}
        unknown = {"name": "b", "kind": "no such kind", "args": {}, "timeout_s": 1}
        answers = host.ask("status", checks=[wrong, unknown])["checks"]
        assert [(each["name"], each["ok"]) for each in answers] == [("a", False), ("b", False)]
        assert "refused" in answers[0]["text"]

    def test_read_gives_contents_for_a_diff(self, host: LocalHost, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"\xff text")
        paths = [str(tmp_path / "file"), str(tmp_path / "missing")]
        assert host.ask("read", files=paths) == {paths[0]: "\ufffd text", paths[1]: ""}

    def test_an_unknown_request_comes_back_as_an_error(self, host: LocalHost) -> None:
        with pytest.raises(BuildError, match="KeyError: 'dance'") as caught:
            host.ask("dance")
        assert caught.value.host == "here"
        assert "stockade up" in caught.value.next_step

    def test_the_arguments_are_the_same_whatever_is_asked(self, host: LocalHost, tmp_path: Path) -> None:
        host.apply(files=[a_file(tmp_path / "a", content="very secret")])
        host.ask("read", files=[])
        assert len({tuple(argv) for argv in host.argv}) == 1
        assert "very secret" not in " ".join(host.argv[0])

    def test_progress_is_heard_while_it_works(self, host: LocalHost) -> None:
        heard: list[str] = []
        request = {
            "do": "wait",
            "checks": [{"name": "x", "kind": "unit_active", "args": {"units": []}, "timeout_s": 1}],
        }
        asyncio.run(call(host, "here", request, timeout_s=60, doing=heard.append))
        assert heard == ["waiting: x"]


def test_a_host_side_that_ends_abnormally_shows_its_last_lines() -> None:
    transport = FakeTransport("ctl1", lambda _argv, _stdin: Completed(137, "", "one\nMemoryError\n"))
    with pytest.raises(BuildError) as caught:
        asyncio.run(call(transport, "ctl1", {"do": "facts"}, timeout_s=1))
    assert caught.value.log == ("one", "MemoryError")


HOSTSIDE = Path(stockade.build.hostside.__file__).parent
ON_THE_HOST = sys.stdlib_module_names | {"pymysql", "openstack", "keystoneauth1"}


@pytest.mark.parametrize(
    "path", [*HOSTSIDE.glob("*.py"), *HOSTSIDE.parents[1].glob("agent/*.py")], ids=lambda path: path.name
)
def test_what_runs_on_hosts_needs_only_what_debian_packages_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            own = name.startswith("stockade.agent") and path.parent.name == "agent"
            assert own or name.split(".")[0] in ON_THE_HOST, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nova-api", "nova-api.service"),
        ("ceph-mon@ctl1", "ceph-mon@ctl1.service"),
        ("ceph-mon@ctl1.example", "ceph-mon@ctl1.example.service"),
        ("libvirtd.socket", "libvirtd.socket"),
    ],
)
def test_names_of_units(name: str, full: str) -> None:
    assert units._full(name) == full


def test_only_installed_packages_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = (
        "keystone\\tinstalled\\t2:27.0.0-3",
        "glance-api\\tconfig-files\\t2:30.0.0-3",
        "nova-api\\tnot-installed\\t",
    )
    (tmp_path / "dpkg-query").write_text(f"#!/bin/sh\nprintf '{chr(10).join(lines)}'\nexit 1\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert packages.versions(["keystone", "glance-api", "nova-api"]) == {"keystone": "2:27.0.0-3"}


SERVERS_STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
4 keystone 1 ctl1 10.77.0.11 2 0 1 1 512 15 3 3 6 0 0 0 - 5000 - 0 0 - - 0
4 keystone 2 ctl2 10.77.0.12 2 8 1 1 12 15 3 3 6 0 0 0 - 5000 - 0 0 - - 0
4 keystone 3 ctl3 10.77.0.13 0 1 1 1 40 8 2 0 6 0 0 0 - 5000 - 0 0 - - 0
6 nova-api 1 ctl1 10.77.0.11 0 0 1 1 40 8 2 0 6 0 0 0 - 8774 - 0 0 - - 0

"""  # noqa: E501
STAT = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight
keystone-in,FRONTEND,,,2,9,8192,512,9000,90000,0,0,1,,,,,OPEN,
keystone,ctl1,0,0,3,5,256,200,4000,40000,,0,,0,0,0,0,UP,1
keystone,ctl2,0,0,0,5,256,200,4000,40000,,0,,0,0,0,0,DRAIN,1
keystone,ctl3,0,0,,5,256,100,1000,10000,,0,,0,0,0,0,DOWN 1/2,1
keystone,BACKEND,0,0,3,9,820,500,9000,90000,0,0,,0,0,0,0,UP,2
"""


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """HAProxy's admin socket, answering what a real one answered; the commands it was given."""
    asked: list[str] = []
    monkeypatch.setattr(haproxy, "SOCKET", str(tmp_path / "admin.sock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(haproxy.SOCKET)
        listener.listen()
        listener.settimeout(20)

        def serve() -> None:
            while True:
                connection, _address = listener.accept()
                with connection:
                    text = connection.recv(4096).decode().strip()
                    if text == "quit":
                        return
                    asked.append(text)
                    refused = "No such server.\n\n" if "nobody" in text else "\n"
                    answers = {"show stat": STAT, "show servers state": SERVERS_STATE}
                    connection.sendall(answers.get(text, refused).encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        haproxy.command("quit")
        thread.join()


class TestHaproxy:
    """HAProxy's own words."""

    WANTED: Json = {"backends": {"keystone": ["ctl1", "ctl2", "ctl3"], "nova-api": ["ctl1", "ctl2"]}}  # noqa: RUF012

    def test_servers_out_of_rotation_and_missing_ones_are_found_and_those_down_are_not_our_business(
        self, proxy: list[str]
    ) -> None:
        assert haproxy.check(self.WANTED) == [
            "server ctl2 of keystone is out of rotation",
            "server ctl3 of keystone is out of rotation",
            "back end nova-api has no server ctl2",
        ]
        assert proxy == ["show servers state"]

    def test_they_are_put_back(self, proxy: list[str]) -> None:
        haproxy.apply(self.WANTED)
        assert proxy[1:] == ["set server keystone/ctl2 state ready", "set server keystone/ctl3 state ready"]

    @pytest.mark.parametrize(("server", "clean"), [("ctl2", True), ("ctl3", True), ("ctl1", False)])
    def test_draining_waits_for_the_last_session(self, proxy: list[str], server: str, clean: bool) -> None:  # noqa: FBT001
        assert haproxy.drain("keystone", server, 0.3) is clean
        assert proxy[0] == f"set server keystone/{server} state drain"

    @pytest.mark.usefixtures("proxy")
    def test_a_refusal_is_an_error(self) -> None:
        with pytest.raises(RuntimeError, match="No such server"):
            haproxy.ready("keystone", "nobody")


def answering(answers: dict[str, str], asked: list[str]) -> Callable[..., str]:
    """A `shell.run` that knows a few commands by a part of them."""

    def run(argv: Sequence[str], **_options: object) -> str:
        text = " ".join(argv)
        asked.append(text)
        return next((answer for part, answer in answers.items() if part in text), "")

    return run


class TestOpenVSwitch:
    """ovs-vsctl's answers."""

    WANTED: Json = {  # noqa: RUF012
        "bridges": {"br-int": [], "br-ex": ["eth3"]},
        "datapath": "netdev",
        "manager": "ptcp:6640:127.0.0.1",
        "settings": {"userspace-tso-enable": "true"},
    }
    GOOD: dict[str, str] = {  # noqa: RUF012
        "list-br": "br-ex\nbr-int\n",
        "datapath_type": "netdev\n",
        "list-ports br-ex": "eth3\nphy-br-ex\n",
        "get-manager": "ptcp:6640:127.0.0.1\n",
        "other_config:userspace-tso-enable": '"true"\n',
    }

    @pytest.mark.parametrize(
        ("deviation", "said"),
        [
            ({}, []),
            ({"list-br": "br-int\n"}, ["bridge br-ex is missing"]),
            ({"list-ports br-ex": "phy-br-ex\n"}, ["NIC eth3 is not in bridge br-ex"]),
            ({"other_config:userspace-tso-enable": ""}, ["userspace-tso-enable is not true"]),
            ({"get-manager": ""}, ["the database does not listen on ptcp:6640:127.0.0.1"]),
            (
                {"datapath_type": '""\n'},
                [f"bridge {name} has datapath system, not netdev" for name in ("br-int", "br-ex")],
            ),
        ],
    )
    def test_differences(self, deviation: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shell, "run", answering(self.GOOD | deviation, []))
        assert ovs.check(self.WANTED) == said

    def test_mending_is_harmless_when_nothing_is_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        monkeypatch.setattr(shell, "run", answering(self.GOOD, asked))
        ovs.apply(self.WANTED)
        reading = ("get-manager", "--if-exists get")
        assert all(
            "--may-exist" in text or text == "ip link set eth3 up" or any(each in text for each in reading)
            for text in asked
        )


POOL = {"size": 3, "min_size": 2, "pg_num": 16, "application_metadata": {"rbd": {}}}
STATUS: Json = {
    "fsid": "6a8bd5d2-8f5e-11f0-9b0e-b2f6a9d3f7c1",
    "health": {"status": "HEALTH_OK", "checks": {}, "mutes": []},
    "quorum": [0, 1, 2],
    "quorum_names": ["ctl1", "ctl2", "ctl3"],
    "osdmap": {"epoch": 41, "num_osds": 3, "num_up_osds": 3, "num_in_osds": 3, "num_remapped_pgs": 0},
    "pgmap": {
        "pgs_by_state": [
            {"state_name": "active+clean", "count": 47},
            {"state_name": "active+clean+scrubbing", "count": 2},
        ],
        "num_pgs": 49,
    },
    "mgrmap": {"available": True, "num_standbys": 2},
}


class TestCeph:
    """Ceph's JSON."""

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (POOL, []),
            (POOL | {"size": 2}, ["pool images has size 2 instead of 3"]),
            (POOL | {"min_size": 1}, ["pool images has min_size 1 instead of 2"]),
            (POOL | {"application_metadata": {}}, ["pool images is not marked for RBD"]),
            (None, ["pool images is missing"]),
        ],
    )
    def test_pools(self, row: Json | None, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [{"pool_name": ".mgr", **POOL}] + ([{"pool_name": "images", **row}] if row else [])
        monkeypatch.setattr(shell, "run", answering({"pool ls detail": json.dumps(rows)}, []))
        assert ceph.check({"kind": "pools", "pools": ["images"], "size": 3, "min_size": 2, "pg_num": 16}) == said

    def test_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        caps = {"mon": "profile rbd"}
        dump = {
            "auth_dump": [
                {"entity": "client.glance", "key": "K1", "caps": caps},
                {"entity": "osd.0", "key": "x", "caps": {}},
            ]
        }
        monkeypatch.setattr(shell, "run", answering({"auth ls": json.dumps(dump)}, []))
        wanted = {"client.glance": {"key": "K1", "caps": caps}}
        assert ceph.check({"kind": "keys", "keys": wanted}) == []
        other = {"client.glance": {"key": "K2", "caps": caps}, "client.cinder": {"key": "K3", "caps": caps}}
        assert ceph.check({"kind": "keys", "keys": other}) == [
            "key client.glance has another secret or other rights",
            "key client.cinder is missing",
        ]

    @pytest.mark.parametrize(
        ("disk", "mark", "found"),
        [
            ("file:10G", "stockade-uuid", "3"),
            ("file:10G", "fsid", None),
            ("/dev/nvme1n1", "fsid", "3"),
            ("/dev/nvme1n1", "whoami", None),
        ],
    )
    def test_an_osd_is_known_by_its_uuid(
        self, disk: str, mark: str, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The block link of a device's OSD names a logical volume, so it says nothing of the device."""
        monkeypatch.setattr(ceph, "OSDS", tmp_path)
        home = tmp_path / "ceph-3"
        home.mkdir()
        (home / "block").symlink_to("/dev/ceph-0b0a-vg/osd-block-1b1a")
        (home / mark).write_text("1b1a-uuid\n" if mark == "fsid" else "1b1a-uuid")
        assert ceph._osd_of({"disk": disk, "uuid": "1b1a-uuid"}) == found
        assert ceph._osd_of({"disk": disk, "uuid": "2c2b-uuid"}) is None

    @pytest.mark.parametrize(
        ("text", "size"), [("10G", 10 << 30), ("512M", 512 << 20), ("4096", 4096), ("1t", 1 << 40)]
    )
    def test_sizes(self, text: str, size: int) -> None:
        assert ceph._bytes(text) == size

    @pytest.mark.parametrize(
        ("deviation", "ok", "said"),
        [
            ({}, True, "3 of 3 mons, 3 of 3 OSDs, 49 of 49 placement groups clean"),
            ({"quorum_names": ["ctl1", "ctl2"]}, False, "2 of 3 mons"),
            ({"osdmap": STATUS["osdmap"] | {"num_up_osds": 2}}, False, "2 of 3 OSDs"),
            ({"mgrmap": {"available": False}}, False, "no mgr"),
            (
                {"pgmap": {"pgs_by_state": [{"state_name": "active+undersized+degraded", "count": 9}], "num_pgs": 9}},
                False,
                "0 of 9 placement groups clean",
            ),
        ],
    )
    def test_health(self, deviation: Json, ok: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
        monkeypatch.setattr(shell, "run", answering({"status": json.dumps(STATUS | deviation)}, []))
        answer = checks.answer({"name": "ceph", "kind": "ceph", "args": {"mons": 3, "osds": 3}})
        assert answer["ok"] is ok
        assert said in answer["text"]


class TestRabbit:
    """RabbitMQ's definitions and queues."""

    ACCOUNT: Json = {"name": "nova", "password": "test12"}  # noqa: RUF012
    MEMBERS: Sequence[str] = ("rabbit@ctl1", "rabbit@ctl2", "rabbit@ctl3")
    SALT = bytes.fromhex("908DC60A")

    def definitions(self, **deviation: Any) -> Json:
        good: Json = {
            "vhosts": [{"name": "/"}, {"name": "nova", "default_queue_type": "quorum", "metadata": {}}],
            "users": [{"name": "nova", "password_hash": rabbit._hash("test12", self.SALT), "tags": []}],
            "permissions": [{"user": "nova", "vhost": "nova", "configure": ".*", "write": ".*", "read": ".*"}],
        }
        return good | deviation

    def check(self, monkeypatch: pytest.MonkeyPatch, definitions: Json, queues: object = ()) -> list[str]:
        answers = {
            "export_definitions": f"Exporting ...\n{json.dumps(definitions)}\n",
            "eval": json.dumps(queues) + "ok\n",
        }
        monkeypatch.setattr(shell, "run", answering(answers, []))
        return rabbit.check({"accounts": [self.ACCOUNT], "members": list(self.MEMBERS)})

    def test_the_hash_is_that_of_rabbitmqs_documentation(self) -> None:
        assert rabbit._hash("test12", self.SALT) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"

    def test_whatever_the_salt_the_password_is_recognized(self) -> None:
        for salt in (b"\0\0\0\0", b"abcd", b"\xff\xfe\xfd\xfc"):
            assert rabbit._matches("p", {"password_hash": rabbit._hash("p", salt)})
            assert not rabbit._matches("q", {"password_hash": rabbit._hash("p", salt)})
        assert not rabbit._matches("p", {"password_hash": base64.b64encode(b"short").decode()})

    @pytest.mark.parametrize(
        ("deviation", "said"),
        [
            ({}, []),
            ({"vhosts": []}, ["vhost nova is missing"]),
            ({"vhosts": [{"name": "nova"}]}, ["vhost nova makes classic queues, not quorum queues"]),
            ({"vhosts": [{"name": "nova", "metadata": {"default_queue_type": "quorum"}}]}, []),
            ({"users": []}, ["user nova is missing"]),
            ({"permissions": []}, ["user nova has not all rights on vhost nova"]),
            (
                {"permissions": [{"user": "nova", "vhost": "nova", "configure": "", "write": ".*", "read": ".*"}]},
                ["user nova has not all rights on vhost nova"],
            ),
        ],
    )
    def test_accounts(self, deviation: Json, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.check(monkeypatch, self.definitions(**deviation)) == said

    def test_another_password_is_found_and_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        other = self.definitions(users=[{"name": "nova", "password_hash": rabbit._hash("other", self.SALT)}])
        assert self.check(monkeypatch, other) == ["user nova has another password"]

    def test_the_well_known_guest_must_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        users = [*self.definitions()["users"], {"name": "guest", "password_hash": rabbit._hash("guest", self.SALT)}]
        assert self.check(monkeypatch, self.definitions(users=users)) == [
            "user guest is there with its well-known password"
        ]

    def test_a_queue_without_a_member_somewhere_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        queues = [["nova", "conductor", list(self.MEMBERS)], ["nova", "reply_1", ["rabbit@ctl3", "rabbit@ctl1"]]]
        assert self.check(monkeypatch, self.definitions(), queues) == [
            "queue reply_1 in nova has no member on rabbit@ctl2"
        ]

    @pytest.mark.parametrize(
        ("deviation", "ok", "said"),
        [
            ({}, True, "3 of 3 members run"),
            ({"running_nodes": ["rabbit@ctl1", "rabbit@ctl2"]}, False, "2 of 3 members run"),
            ({"partitions": {"rabbit@ctl1": ["rabbit@ctl2"]}}, False, "partitioned"),
            ({"alarms": [{"resource": "disk", "node": "rabbit@ctl1"}]}, False, "alarm"),
        ],
    )
    def test_health(self, deviation: Json, ok: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
        state = {"running_nodes": list(self.MEMBERS), "partitions": {}, "alarms": []} | deviation
        monkeypatch.setattr(shell, "run", answering({"cluster_status": json.dumps(state)}, []))
        answer = checks.answer({"name": "rabbitmq", "kind": "rabbitmq", "args": {"members": 3}})
        assert answer["ok"] is ok
        assert said in answer["text"]


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        ("password", "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"),
        ("root", "*81F5E21E35407D884A6CD4A731AEBFB6AF209E1B"),
        ("", "*BE1BDEC0AA74B4DCB079943E70528096CCA985F8"),
    ],
)
def test_the_databases_stored_form_of_a_password(password: str, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", types.ModuleType("pymysql"))
    database = importlib.import_module("stockade.build.hostside.database")
    assert database._native_hash(password) == stored


@pytest.mark.parametrize(("held", "said"), [(True, "holds the VIP"), (False, "stands by")])
def test_who_holds_the_vip(held: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    line = "2: eth0    inet 10.77.0.1{}/24 scope global secondary eth0\\       valid_lft forever\n"
    text = line.format("1") + (line.format("0") if held else "")
    monkeypatch.setattr(shell, "run", answering({"ip -4": text}, []))
    assert checks.vip_held("10.77.0.10") == (True, said)


def test_a_proxy_that_leads_nowhere_is_not_a_database() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for greeting in (b"", b"Y\0\0\0\n11.8.6-MariaDB\0"):
                connection, _address = server.accept()
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        assert checks.database_greets("127.0.0.1", port) == (False, f"127.0.0.1:{port} leads to no server")
        assert checks.database_greets("127.0.0.1", port) == (True, f"127.0.0.1:{port} leads to the writer")
        thread.join()


@pytest.mark.parametrize(
    ("script", "works"),
    [
        ("echo Linux version 6; sleep 0.1; echo Kernel panic; exec sleep 60", True),
        ("echo KVM internal error. Suberror: 1 >&2; exec sleep 60", False),
        ("echo Linux version 6; exec sleep 60", False),
        ("echo Linux version 6", False),
    ],
)
def test_kvm_works_where_a_kernel_gets_to_its_end(
    script: str,
    works: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fake = tmp_path / "qemu"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(hardware, "QEMU", str(fake))
    monkeypatch.setattr(hardware, "PROBE_S", 1.5)
    monkeypatch.setattr(hardware, "KERNELS", tmp_path)
    (tmp_path / "vmlinuz-6").touch()
    assert hardware._kernel_runs() is works


@pytest.mark.parametrize(
    ("child", "running", "said"),
    [
        ("ceph--1a2b-osd--block--8f5e--11f0", "8f5e-11f0", ""),
        (
            "ceph--1a2b-osd--block--8f5e--11f0",
            "0000-0000",
            "has partitions or volumes: ceph--1a2b-osd--block--8f5e--11f0",
        ),
        ("sdb1", "8f5e-11f0", "has partitions or volumes: sdb1"),
    ],
)
def test_a_disk_with_anothers_osd_is_not_free(
    child: str, running: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ceph-3").mkdir()
    (tmp_path / "ceph-3" / "fsid").write_text(f"{running}\n")
    monkeypatch.setattr(ceph, "OSDS", tmp_path)
    monkeypatch.setattr(Path, "is_block_device", lambda _path: True)
    listed = {"blockdevices": [{"name": "sdb", "fstype": None, "children": [{"name": child}]}]}
    monkeypatch.setattr(shell, "run", lambda _argv: json.dumps(listed))
    assert ceph.taken("/dev/sdb") == said


def test_a_disk_that_holds_a_file_system_is_refused_before_ceph_volume_would_wipe_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def run(argv: list[str], **_more: object) -> str:
        asked.append(argv[0])
        return json.dumps({"blockdevices": [{"name": "sdb", "fstype": "xfs"}]})

    monkeypatch.setattr(Path, "is_block_device", lambda _path: True)
    monkeypatch.setattr(shell, "run", run)
    monkeypatch.setattr(ceph, "_osd_of", lambda _desired: None)
    with pytest.raises(RuntimeError, match="holds a xfs file system; nothing was changed"):
        ceph._make_osd({"disk": "/dev/sdb", "uuid": "8f5e", "bootstrap_keyring": ""})
    assert asked == ["lsblk"]


@pytest.mark.parametrize(
    ("version", "code", "said"),
    [("arping from iputils 20240905", 0, "other"), ("arping from iputils 20240905", 1, ""),
     ("arping from iputils 20240905", 2, "unknown"), ("ARPing 2.24, by Thomas Habets", 1, "unknown")],
)  # fmt: skip
def test_a_vip_is_only_free_if_the_right_program_says_so(
    version: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_more: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(stdout=version if "-V" in argv else "", stderr="", returncode=code)

    monkeypatch.setattr(preflight.shutil, "which", lambda _name: "/usr/sbin/arping")
    monkeypatch.setattr(preflight.subprocess, "run", run)
    monkeypatch.setattr(shell, "run", lambda _argv: "2: mgmt inet 10.0.0.5/24 brd x\n")
    assert preflight._holder("10.0.0.9", "mgmt") == said


def test_two_questions_at_once_register_the_clients_metrics_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As openstacksdk does where prometheus_client is there: look for the metric, make it, remember it."""
    registered: dict[str, int] = {}
    made: list[str] = []

    def metric(name: str) -> None:
        if name not in registered:
            time.sleep(0.02)
            made.append(name)
            registered[name] = 1

    config = types.SimpleNamespace(
        get_prometheus_histogram=lambda: metric("histogram"), get_prometheus_counter=lambda: metric("counter")
    )
    sdk = types.SimpleNamespace(connect=lambda **_arguments: types.SimpleNamespace(config=config))
    monkeypatch.setitem(sys.modules, "openstack", sdk)
    admin = dict.fromkeys((*client.AUTH, "region"), "x")
    threads = [threading.Thread(target=client.connect, args=(admin, 1)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["counter", "histogram"]
