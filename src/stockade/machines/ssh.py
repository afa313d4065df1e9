"""Shells on machines over SSH, and `Machines` for servers that are simply there."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import asyncssh

from stockade.cloud.model import Cloud, Host, Ssh
from stockade.errors import HostError, LabError, Unreachable
from stockade.machines.base import Bmc, Completed, PowerState, Progress, Switchboard, Transport
from stockade.machines.common import answer, bmc_address, gather_all
from stockade.machines.redfish import RedfishBmc

CONNECT_TIMEOUT_S = 10.0
"""TCP and handshake with a loaded server; a dead one must not hold up the rest."""
CLOSE_TIMEOUT_S = 1.0
"""Nothing is sent on closing, so nothing is waited for but this process's own event loop."""
KEEPALIVE_S = 5.0
KEEPALIVE_MISSES = 3
"""A session whose host is gone is given up after `KEEPALIVE_S * KEEPALIVE_MISSES`, not after TCP's minutes."""

BOOT_TIMEOUT_S = 600.0
"""Real servers take minutes to count their memory."""

Dial = Callable[[], socket.socket]
"""Makes an unconnected TCP socket; the lab makes one inside its own network."""


class SshTransport:
    """One host's shell over one connection, opened when first needed and again after a loss."""

    def __init__(self, name: str, ssh: Ssh, *, dial: Dial | None = None) -> None:
        self.name, self.ssh = name, ssh
        self._dial = dial
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening = asyncio.Lock()

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 60.0,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `argv`; see `stockade.machines.base.Transport`."""
        connection = await self._connected()
        try:
            async with asyncio.timeout(timeout_s):
                return await _run(connection, shlex.join(argv), stdin, on_line)
        except TimeoutError:
            raise HostError(self.name, f"{argv[0]} did not finish in {timeout_s:.0f} s") from None
        except (OSError, asyncssh.Error) as error:
            if self._connection is connection:
                await self.close()
            raise Unreachable(self.name, f"the SSH session was lost: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """End the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            with suppress(TimeoutError, OSError, asyncssh.Error):
                await asyncio.wait_for(connection.wait_closed(), CLOSE_TIMEOUT_S)

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._opening:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> asyncssh.SSHClientConnection:
        ssh = self.ssh
        options = asyncssh.SSHClientConnectionOptions(
            username=ssh.user,
            client_keys=[str(ssh.key_file)] if ssh.key_file else (),
            # The user's own agent is for servers whose key is not named.
            agent_path=None if ssh.key_file else (),
            known_hosts=str(ssh.known_hosts) if ssh.known_hosts else (),
            config=None if ssh.key_file else (),
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVE_MISSES,
            connect_timeout=CONNECT_TIMEOUT_S,
            login_timeout=CONNECT_TIMEOUT_S,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if self._dial is None:
                    return await asyncssh.connect(ssh.address, ssh.port, options=options)
                sock = self._dial()
                try:
                    sock.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(sock, (ssh.address, ssh.port))
                    return await asyncssh.connect(ssh.address, ssh.port, sock=sock, options=options)
                except BaseException:
                    sock.close()
                    raise
        except TimeoutError:
            what = f"no SSH on {ssh.address}:{ssh.port} within {CONNECT_TIMEOUT_S:.0f} s"
            raise Unreachable(self.name, what, next_step=self._look()) from None
        except asyncssh.HostKeyNotVerifiable as error:
            file = ssh.known_hosts or "~/.ssh/known_hosts"
            step = f"compare the key of {ssh.address} with the one you expect, then correct {file}"
            raise Unreachable(self.name, f"its SSH host key is not the known one: {error}", next_step=step) from error
        except asyncssh.PermissionDenied as error:
            step = f"put the public key of {ssh.key_file or 'your SSH agent'} into {ssh.user}'s authorized_keys"
            raise Unreachable(self.name, f"SSH login as {ssh.user} was refused", next_step=step) from error
        except (OSError, asyncssh.Error) as error:
            what = f"no SSH on {ssh.address}:{ssh.port}: {error}"
            raise Unreachable(self.name, what, next_step=self._look()) from error

    def _look(self) -> str:
        return f"`stockade power {self.name} status` says whether it is on; then look whether sshd runs there"


async def _run(
    connection: asyncssh.SSHClientConnection, command: str, stdin: str, on_line: Callable[[str], None] | None
) -> Completed:
    process = await connection.create_process(command, encoding="utf-8", errors="replace")

    async def errors() -> str:
        lines: list[str] = []
        while line := await process.stderr.readline():
            lines.append(line)
            if on_line:
                on_line(line.rstrip("\n"))
        return "".join(lines)

    try:
        with suppress(BrokenPipeError):  # a command may end without having read its input
            process.stdin.write(stdin)
            process.stdin.write_eof()
        output, error = await asyncio.gather(process.stdout.read(), errors())
        done = await process.wait()
    finally:
        # Not waited for: a frozen host would never say that it has closed its end.
        process.close()
    if done.returncode is None:
        raise asyncssh.ConnectionLost("the host closed the session before the command had ended")
    return Completed(done.returncode, str(output), error)


class SshMachines:
    """Servers that exist already: reached over SSH, their power switched by their own BMCs."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._transports: dict[str, SshTransport] = {}
        self._bmcs: dict[str, RedfishBmc] = {}

    async def up(self, progress: Progress) -> int:
        """Check that every server answers SSH, and switch on those that are off. Changes nothing else."""
        progress.phase("machines", len(self.cloud.hosts))

        async def check(host: Host) -> int:
            progress.doing(host.name, "SSH")
            changed = 0
            try:
                await self.transport(host).run(["true"])
            except Unreachable:
                if host.bmc is None or await self.bmc(host).power_state() is PowerState.ON:
                    raise
                progress.doing(host.name, "switching its power on")
                await self.bmc(host).set_power(PowerState.ON)
                await answer(self.transport(host), timeout_s=BOOT_TIMEOUT_S)
                changed = 1
            progress.doing(host.name, "")
            progress.advance()
            return changed

        return sum(await gather_all(check(host) for host in self.cloud.hosts))

    def attach(self) -> None:
        """Nothing to do: the operator's computer is on the servers' networks."""

    def transport(self, host: Host) -> Transport:
        """The shell of `host`."""
        if host.name not in self._transports:
            self._transports[host.name] = SshTransport(host.name, host.ssh)
        return self._transports[host.name]

    def bmc(self, host: Host) -> Bmc:
        """The BMC of `host`."""
        if host.name not in self._bmcs:
            self._bmcs[host.name] = RedfishBmc(host.name, bmc_address(host))
        return self._bmcs[host.name]

    def switchboard(self) -> Switchboard:
        """Raises `LabError`: nobody reaches the cables of servers from here."""
        raise LabError(
            "this drill pulls cables, or freezes whole machines: Stockade can do that to lab machines only\n"
            "  next: `stockade drill list` shows what each drill does; those with power and processes work on servers"
        )

    async def down(self, *, purge: bool, progress: Progress) -> None:  # noqa: ARG002  the protocol's signature
        """Refuse: nobody's servers are taken away."""
        raise LabError("`down` is for lab machines; these are real servers, and stay as they are")

    async def close(self) -> None:
        """End all sessions."""
        for transport in self._transports.values():
            await transport.close()
        for bmc in self._bmcs.values():
            await bmc.close()
