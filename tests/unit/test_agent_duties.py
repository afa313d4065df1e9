"""The agent's duties around its decisions: keys on disk, the member's word, health, and grants."""

from __future__ import annotations

import dataclasses
import getpass
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stockade.agent import config, database, grant, keys, proxy, sockets
from stockade.agent.config import Settings
from stockade.agent.election import NEVER, Member
from stockade.agent.etcd import Etcd, Unavailable

SETTINGS = Settings("ctl1", "127.0.0.1", 0, 0, 0, True, True, {}, (), 86400, 5)
UUID = "6a8bd5d2-8f5e-11f0-9b0e-b2f6a9d3f7c1"
GRASTATE = """# GALERA saved state
version: 2.1
uuid:    {uuid}
seqno:   {seqno}
safe_to_bootstrap: {safe}
"""


class FakeEtcd(Etcd):
    """etcd with what it was given, or none that answers."""

    def __init__(self, held: dict[str, object] | None) -> None:
        self.held = held

    def get(self, key: str) -> tuple[str, int] | None:
        """What it was given."""
        if self.held is None:
            raise Unavailable("nobody")
        return (json.dumps(self.held[key]), 1) if key in self.held else None


class Rounds(threading.Event):
    """Lets a loop go round a few times."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002  the base class's signature
        """True once it has been round that often."""
        self.count -= 1
        return self.count < 0


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Key directories that belong to whoever runs the test."""
    directories = {name: tmp_path / name for name in keys.DIRECTORIES}
    monkeypatch.setattr(keys, "DIRECTORIES", directories)
    monkeypatch.setattr(keys, "STATE", tmp_path / "keys.json")
    monkeypatch.setattr(keys, "LOCK", tmp_path / "keys.lock")
    monkeypatch.setattr(keys, "OWNER", getpass.getuser())
    return directories


def content(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


class TestKeys:
    """The directories follow etcd, and outlive its loss."""

    SETS: dict[str, object] = {  # noqa: RUF012
        "/stockade/keys/fernet": {"revision": 7, "keys": {"0": "staged", "5": "old", "6": "primary"}},
        "/stockade/keys/credential": {"revision": 1, "keys": {"0": "c0", "1": "c1"}},
    }

    def test_they_become_what_etcd_holds(self, repositories: dict[str, Path]) -> None:
        for directory in repositories.values():
            directory.mkdir()
        (repositories["fernet"] / "4").write_text("surplus")
        (repositories["fernet"] / "6").write_text("older")
        assert keys.sync(FakeEtcd(self.SETS)) == 7
        assert content(repositories["fernet"]) == {"0": "staged", "5": "old", "6": "primary"}
        assert content(repositories["credential"]) == {"0": "c0", "1": "c1"}
        for path in repositories["fernet"].iterdir():
            assert path.stat().st_mode & 0o077 == 0
        state = json.loads(keys.STATE.read_text())
        assert (state["current"], state["text"]) == (True, "revision 7")
        assert state["at"] > 0, "a state without an age would be believed for ever"

    def test_nothing_is_rewritten_that_is_there(self, repositories: dict[str, Path]) -> None:
        for directory in repositories.values():
            directory.mkdir()
        keys.sync(FakeEtcd(self.SETS))
        before = {path: path.stat().st_ino for path in repositories["fernet"].iterdir()}
        keys.sync(FakeEtcd(self.SETS))
        assert {path: path.stat().st_ino for path in repositories["fernet"].iterdir()} == before

    def test_before_keystone_is_there_nothing_is_done(self, repositories: dict[str, Path]) -> None:
        assert keys.sync(FakeEtcd(self.SETS)) == 0
        assert not any(directory.exists() for directory in repositories.values())

    def test_an_etcd_without_keys_changes_nothing(self, repositories: dict[str, Path]) -> None:
        repositories["fernet"].mkdir()
        (repositories["fernet"] / "0").write_text("kept")
        assert keys.sync(FakeEtcd({})) == 0
        assert content(repositories["fernet"]) == {"0": "kept"}

    @pytest.mark.parametrize("surviving", [True, False])
    def test_without_etcd_keystone_starts_only_on_keys_it_has(
        self,
        surviving: bool,  # noqa: FBT001
        repositories: dict[str, Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        repositories["fernet"].mkdir()
        if surviving:
            (repositories["fernet"] / "0").write_text("kept")
        monkeypatch.setattr(keys, "Etcd", lambda _endpoints: FakeEtcd(None))
        monkeypatch.setattr(keys, "load", lambda: SETTINGS)
        assert keys.main() == (0 if surviving else 1)
        assert "etcd does not answer" in capsys.readouterr().err


class TestTheMembersWord:
    """What a member that is down says of its data."""

    @pytest.fixture(autouse=True)
    def grastate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "grastate.dat"
        monkeypatch.setattr(database, "GRASTATE", path)
        monkeypatch.setattr(database, "DATA", tmp_path / "ibdata1")
        return path

    def test_never_in_a_cluster(self) -> None:
        assert database._on_disk() == Member()

    def test_stopped_in_order(self, grastate: Path) -> None:
        grastate.write_text(GRASTATE.format(uuid=UUID, seqno=1234, safe=1))
        assert database._on_disk() == Member(uuid=UUID, seqno=1234, safe_to_bootstrap=True)

    def test_half_a_copy_received_counts_as_never(self, grastate: Path) -> None:
        grastate.write_text(GRASTATE.format(uuid=NEVER, seqno=-1, safe=0))
        assert database._on_disk() == Member()

    @pytest.mark.parametrize(
        ("recovered", "word"),
        [
            ((UUID, 99), Member(uuid=UUID, seqno=99)),
            ((NEVER, -1), Member()),
            (None, Member(uuid=database.UNKNOWN, seqno=-1)),
        ],
    )
    def test_lost_power_in_a_schema_change(
        self, recovered: tuple[str, int] | None, word: Member, grastate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grastate.write_text(GRASTATE.format(uuid=NEVER, seqno=-1, safe=0))
        database.DATA.touch()
        monkeypatch.setattr(database, "_recovered", lambda: recovered)
        assert database._on_disk() == word

    @pytest.mark.parametrize(("recovered", "seqno"), [((UUID, 99), 99), (None, -1)])
    def test_lost_power(
        self, recovered: tuple[str, int] | None, seqno: int, grastate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grastate.write_text(GRASTATE.format(uuid=UUID, seqno=-1, safe=0))
        monkeypatch.setattr(database, "_recovered", lambda: recovered)
        assert database._on_disk() == Member(uuid=UUID, seqno=seqno)


GOOD = {"wsrep_cluster_status": "Primary", "wsrep_ready": "ON", "wsrep_local_state": "4"}


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        (GOOD, True),
        (GOOD | {"wsrep_local_state": "2"}, True),
        (GOOD | {"wsrep_local_state": "1"}, False),
        (GOOD | {"wsrep_cluster_status": "non-Primary"}, False),
        (GOOD | {"wsrep_ready": "OFF"}, False),
        ({}, False),
    ],
)
def test_users_are_sent_to_members_that_can_serve_them(
    state: dict[str, str],
    usable: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(database, "wsrep_status", lambda: state)
    monkeypatch.setattr(database, "DRAIN", tmp_path / "drained")
    assert database._Health().usable()[0] is usable
    (tmp_path / "drained").touch()
    assert database._Health().usable() == (False, "drained")


@contextmanager
def peer(body: bytes) -> Iterator[int]:
    """A peer that answers `body`; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """One answer."""

        def do_GET(self) -> None:
            """Give it."""
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            """Not here."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class TestPeers:
    """A peer's word, or none: never a guess."""

    def test_its_word(self) -> None:
        word = Member(uuid=UUID, seqno=3, safe_to_bootstrap=True)
        with peer(json.dumps(word.__dict__).encode()) as port:
            assert database.peer_state("127.0.0.1", port) == word

    @pytest.mark.parametrize("body", [b"", b"not JSON", b'{"unheard": 1}', b"[1]"])
    def test_what_cannot_be_understood_is_no_word(self, body: bytes) -> None:
        with peer(body) as port:
            assert database.peer_state("127.0.0.1", port) is None

    def test_nobody_there_is_no_word(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            assert database.peer_state("127.0.0.1", free.getsockname()[1]) is None


class TestProxy:
    """The word about this host's HAProxy, as the HAProxies hear it."""

    def test_one_failed_look_is_no_reason(self) -> None:
        verdict = proxy.Verdict(lambda: True)
        said = []
        for works in (True, False, True, False, False, False, True):
            verdict.saw(works)
            said.append(verdict.works)
        assert said == [True, True, True, True, False, False, True]

    def test_where_nobody_is_better_off_nobody_is_left(self) -> None:
        better: list[bool] = []
        verdict = proxy.Verdict(lambda: bool(better))
        for _look in range(5):
            verdict.saw(works=False)
        assert verdict.works
        better.append(True)
        verdict.saw(works=False)
        assert not verdict.works
        better.clear()
        verdict.saw(works=False)
        assert not verdict.works, "once left, only a proxy that answers brings it back"

    def test_the_word_of_others(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]

            def answer() -> None:
                with other.accept()[0] as connection:
                    connection.sendall(b"up\n")

            answering = threading.Thread(target=answer)
            answering.start()
            assert proxy.someone_is_up(["127.0.0.9", "127.0.0.1"], port)
            answering.join()
        assert not proxy.someone_is_up(["127.0.0.1"], port), "nobody listens"

    def test_a_proxy_that_is_hung_or_gone_does_not_answer(self) -> None:
        with peer(b"alive") as port:
            assert proxy.answers(port)
        assert not proxy.answers(port), "nobody listens"
        with socket.create_server(("127.0.0.1", 0)) as hung:
            assert not proxy.answers(hung.getsockname()[1]), "the kernel accepts for a frozen process"

    def test_what_the_haproxies_are_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(proxy, "LOOP_S", 0.01)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        stop = threading.Event()
        with peer(b"alive") as monitor:
            settings = dataclasses.replace(SETTINGS, proxy_port=port, monitor_port=monitor)
            monkeypatch.setattr(proxy, "someone_is_up", lambda _others, _port: True)
            duty = threading.Thread(target=proxy.watch, args=(settings, stop))
            duty.start()
            assert word(port) == b"up\n"
        deadline = time.monotonic() + 10
        while (said := word(port)) == b"up\n" and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        duty.join()
        assert said == b"down\n"


def word(port: int) -> bytes:
    """What the agent says to whoever connects, once it listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                return connection.recv(64)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class TestSockets:
    """Held by systemd, or our own."""

    def test_the_one_handed_over_is_used_and_stays_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as held:
            address, port = held.getsockname()
            monkeypatch.setattr(sockets, "FIRST_FD", held.fileno())
            monkeypatch.setenv("LISTEN_FDS", "1")
            monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
            for _again in range(2):
                with sockets.listening(address, port) as found:
                    assert found.getsockname() == (address, port)
            with socket.create_connection((address, port), timeout=5):
                pass

    def test_without_one_it_opens_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", "1")
        with sockets.listening("127.0.0.1", 0) as found:
            assert found.getsockname()[1] > 0


class TestGrant:
    """libvirtd and nova-compute are started in order, once the build is through and nobody holds the host."""

    @pytest.fixture(autouse=True)
    def host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A host whose systemctl keeps a file per running unit."""
        (tmp_path / "bin").mkdir()
        (tmp_path / "run").mkdir()
        (tmp_path / "applied").mkdir()
        systemctl = tmp_path / "bin" / "systemctl"
        systemctl.write_text(
            "#!/bin/sh\n"
            f'cd {tmp_path}/run; for unit; do :; done\ncase "$*" in\n'
            '*LoadState*) echo loaded;;\n*ActiveState*) [ -e "$unit" ] && echo active || echo inactive;;\n'
            f'start*) touch "$unit"; echo "$unit" >>{tmp_path}/started;;\nesac\n'
        )
        systemctl.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
        monkeypatch.setattr(config, "APPLIED", tmp_path / "applied")
        monkeypatch.setattr(grant, "HOLD", tmp_path / "hold")
        return tmp_path

    def started(self, host: Path) -> list[str]:
        path = host / "started"
        return path.read_text().split() if path.exists() else []

    def test_nothing_before_the_build_is_through(self, host: Path) -> None:
        grant.keep(SETTINGS, Rounds(2))
        assert self.started(host) == []
        (host / "applied" / "nova-compute").touch()
        grant.keep(SETTINGS, Rounds(2))
        assert self.started(host) == [], "libvirtd comes first"

    def test_each_once_and_again_when_it_stopped(self, host: Path) -> None:
        for unit in grant.UNITS:
            (host / "applied" / unit).touch()
        grant.keep(SETTINGS, Rounds(3))
        assert self.started(host) == ["libvirtd", "nova-compute"]
        (host / "run" / "nova-compute").unlink()
        grant.keep(SETTINGS, Rounds(1))
        assert self.started(host) == ["libvirtd", "nova-compute", "nova-compute"]

    def test_nothing_on_a_host_that_is_held(self, host: Path) -> None:
        for unit in grant.UNITS:
            (host / "applied" / unit).touch()
        (host / "hold").touch()
        grant.keep(SETTINGS, Rounds(3))
        assert self.started(host) == []


def test_the_settings_are_those_the_build_writes(tmp_path: Path) -> None:
    written = {
        "host": "ctl1", "address": "10.0.0.1", "port": 1, "proxy_port": 2, "monitor_port": 3,
        "controller": True, "compute": False,
        "controllers": {"ctl1": "10.0.0.1"}, "etcd": ["https://10.0.0.1:2379"], "fernet_rotation_s": 1,
        "fernet_max_active": 3,
    }  # fmt: skip
    (tmp_path / "agent.json").write_text(json.dumps(written))
    assert config.load(str(tmp_path / "agent.json")).etcd == ("https://10.0.0.1:2379",)
