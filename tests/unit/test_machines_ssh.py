"""Machines over SSH, and the fakes that stand in for machines elsewhere."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

import sample

from stockade.cloud.model import Host, Ssh
from stockade.errors import HostError, LabError, Unreachable
from stockade.machines import ssh
from stockade.machines.base import Bmc, Completed, Machines, PowerState, Progress, Transport
from stockade.machines.common import answer
from stockade.machines.fake import FakeBmc, FakeMachines, FakeProgress, FakeTransport
from stockade.machines.ssh import SshMachines, SshTransport


class Shell:
    """An SSH server whose commands are canned."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.client = asyncssh.generate_private_key("ssh-ed25519")
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.sessions = 0
        self.acceptor: asyncssh.SSHAcceptor | None = None
        self.client.write_private_key(str(directory / "id"))
        (directory / "id").chmod(0o600)

    async def start(self, port: int = 0) -> Ssh:
        keys = asyncssh.import_authorized_keys(self.client.export_public_key().decode())
        self.acceptor = await asyncssh.listen(
            "127.0.0.1", port, server_host_keys=[self.key], authorized_client_keys=keys, process_factory=self._serve
        )
        self.pin(self.key, self.acceptor.get_port())
        return Ssh("127.0.0.1", self.acceptor.get_port(), "root", self.directory / "id", self.directory / "known")

    def pin(self, key: asyncssh.SSHKey, port: int) -> None:
        (self.directory / "known").write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")

    async def stop(self) -> None:
        assert self.acceptor is not None
        self.acceptor.close()
        await self.acceptor.wait_closed()

    async def _serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self.sessions += 1
        match process.command:
            case "cat":
                process.stdout.write(await process.stdin.read())
                process.exit(0)
            case "warn 'two words'":
                process.stderr.write("first\nsecond\n")
                process.exit(3)
            case "hang":
                await asyncio.sleep(60)
            case "die":
                process.get_extra_info("connection").abort()


def test_run_carries_input_output_status_and_progress(tmp_path: Path) -> None:
    async def scenario() -> None:
        shell = Shell(tmp_path)
        transport = SshTransport("one", await shell.start())
        assert await transport.run(["cat"], stdin="grüße\n" * 1000) == Completed(0, "grüße\n" * 1000, "")
        lines: list[str] = []
        done = await transport.run(["warn", "two words"], on_line=lines.append)
        assert (done, lines) == (Completed(3, "", "first\nsecond\n"), ["first", "second"])
        await transport.close()
        await shell.stop()

    asyncio.run(scenario())


def test_one_connection_serves_many_commands_and_is_reopened_after_a_loss(tmp_path: Path) -> None:
    async def scenario() -> None:
        shell = Shell(tmp_path)
        transport = SshTransport("one", await shell.start())
        await asyncio.gather(*(transport.run(["cat"]) for _ in range(5)))
        first = transport._connection
        with pytest.raises(Unreachable, match="the SSH session was lost"):
            await transport.run(["die"])
        assert (await transport.run(["cat"], stdin="x")).stdout == "x"
        assert transport._connection is not first
        await transport.close()
        await shell.stop()

    asyncio.run(scenario())


def test_command_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        shell = Shell(tmp_path)
        transport = SshTransport("one", await shell.start())
        with pytest.raises(HostError, match="one: hang did not finish in 0 s") as caught:
            await transport.run(["hang"], timeout_s=0.1)
        assert not isinstance(caught.value, Unreachable)
        assert (await transport.run(["cat"], stdin="x")).ok
        await transport.close()
        await shell.stop()

    asyncio.run(scenario())


def test_host_key_must_be_the_pinned_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        shell = Shell(tmp_path)
        where = await shell.start()
        shell.pin(asyncssh.generate_private_key("ssh-ed25519"), where.port)
        with pytest.raises(Unreachable, match="host key is not the known one"):
            await SshTransport("one", where).run(["cat"])
        await shell.stop()

    asyncio.run(scenario())


def test_refused_key_and_closed_port_say_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        shell = Shell(tmp_path)
        where = await shell.start()
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "other"))
        with pytest.raises(Unreachable, match="authorized_keys"):
            await SshTransport("one", replace(where, key_file=tmp_path / "other")).run(["cat"])
        await shell.stop()
        with pytest.raises(Unreachable, match=f"no SSH on 127.0.0.1:{where.port}"):
            await SshTransport("one", where).run(["cat"])

    asyncio.run(scenario())


def test_silent_host_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_TIMEOUT_S", 0.3)
    Shell(tmp_path)
    (tmp_path / "known").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = Ssh("127.0.0.1", silent.getsockname()[1], "root", tmp_path / "id", tmp_path / "known")
        with pytest.raises(Unreachable):
            asyncio.run(SshTransport("one", where).run(["cat"]))


def ready(answers: list[bool]) -> FakeTransport:
    """A machine that fails for each False of `answers` first."""

    class Booting(FakeTransport):
        async def run(self, argv, **more):  # type: ignore[no-untyped-def]
            self.reachable = answers.pop(0)
            return await super().run(argv, **more)

    return Booting("one")


def test_answer_waits_for_a_booting_machine() -> None:
    asyncio.run(answer(ready([False, False, True]), timeout_s=10))
    with pytest.raises(Unreachable):
        asyncio.run(answer(ready([False] * 3), timeout_s=0))


class Servers(SshMachines):
    """Servers whose shells and BMCs are fakes."""

    def __init__(self) -> None:
        super().__init__(sample.cloud(hosts={"one": 11, "two": 31}))
        self.fakes = FakeMachines(self.cloud)

    def transport(self, host: Host) -> Transport:
        return self.fakes.transport(host)

    def bmc(self, host: Host) -> Bmc:
        return self.fakes.bmc(host)


def test_servers_that_answer_are_left_alone() -> None:
    servers = Servers()
    progress = FakeProgress()
    assert asyncio.run(servers.up(progress)) == 0
    assert progress.shown.count("advance 1") == 2
    assert not servers.fakes.bmcs["one"].asked


def test_server_without_power_is_switched_on() -> None:
    servers = Servers()
    one, bmc = servers.fakes.transports["one"], servers.fakes.bmcs["one"]
    one.reachable, bmc.state = False, PowerState.OFF

    async def boot(state: PowerState) -> None:
        await FakeBmc.set_power(bmc, state)
        one.reachable = True

    bmc.set_power = boot  # type: ignore[method-assign]
    assert asyncio.run(servers.up(FakeProgress())) == 1
    assert bmc.asked == [PowerState.ON]


def test_server_with_power_and_without_ssh_is_an_error() -> None:
    servers = Servers()
    servers.fakes.transports["two"].reachable = False
    with pytest.raises(Unreachable, match="two"):
        asyncio.run(servers.up(FakeProgress()))
    assert not servers.fakes.bmcs["two"].asked


def test_servers_are_never_taken_down() -> None:
    with pytest.raises(LabError, match="real servers"):
        asyncio.run(Servers().down(purge=True, progress=FakeProgress()))


def test_host_without_bmc_says_what_to_add() -> None:
    cloud = sample.cloud(hosts={"one": 11})
    with pytest.raises(HostError, match="give one a `bmc:`"):
        SshMachines(cloud).bmc(replace(cloud.host("one"), bmc=None))


def test_fakes_satisfy_the_protocols() -> None:
    machines: Machines = FakeMachines(sample.cloud())
    progress: Progress = FakeProgress()
    servers: Machines = SshMachines(sample.cloud())
    assert asyncio.run(machines.up(progress)) == 0
    asyncio.run(machines.down(purge=False, progress=progress))
    assert asyncio.run(machines.up(progress)) == 5
    machines.attach()
    asyncio.run(machines.close())
    asyncio.run(servers.close())
    broken = FakeBmc("one", broken="does not answer")
    with pytest.raises(HostError, match="does not answer"):
        asyncio.run(broken.power_state())
