"""The path to a VM: one session that is opened once, and datagrams that are told apart."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from stockade.drill.history import Event, Kind, decode
from stockade.drill.load import datapath
from stockade.drill.load.datapath import Echoes, Session
from stockade.drill.load.stream import Recorder, Result

Work = Callable[[Session, list[asyncio.StreamWriter]], Awaitable[None]]


def sessions(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What was recorded of the session."""
    events: list[Event] = [decode(line, 0) for line in capfd.readouterr().out.splitlines()]
    return [str(event.value) for event in events if event.f == "tcp-session"]


def with_echo(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    """Run `work` with a session to an echo server and the server's ends of its connections."""
    clients: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        while line := await reader.readline():
            writer.write(line)

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        monkeypatch.setattr(datapath, "PORT", server.sockets[0].getsockname()[1])
        session = Session("127.0.0.1", Recorder(0))
        await work(session, clients)
        await session.close()
        server.close()
        for client in clients:
            client.close()
        await server.wait_closed()

    asyncio.run(run())


def test_one_session_carries_all_lines_and_its_end_with_the_load_is_no_break(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work(session: Session, clients: list[asyncio.StreamWriter]) -> None:
        results: list[Result] = await asyncio.gather(*(session.echo(number) for number in range(20)))
        assert {each.kind for each in results} == {Kind.OK}
        assert len(clients) == 1

    with_echo(monkeypatch, work)
    assert sessions(capfd) == ["opened"]


def test_a_session_that_is_reset_is_recorded_and_opened_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work(session: Session, clients: list[asyncio.StreamWriter]) -> None:
        assert (await session.echo(1)).kind is Kind.OK
        raw = clients[0].get_extra_info("socket")
        # No linger: the other side resets instead of saying goodbye.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        clients[0].transport.abort()
        await asyncio.sleep(0.1)
        assert (await session.echo(2)).kind is Kind.OK
        assert len(clients) == 2

    with_echo(monkeypatch, work)
    first, broken, again = sessions(capfd)
    assert (first, again) == ("opened", "opened")
    assert broken.startswith("broken: ")


def test_a_refused_session_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datapath, "PORT", 1)
    result = asyncio.run(Session("127.0.0.1", Recorder(0)).echo(1))
    assert result.kind is Kind.FAIL
    assert "refused" in str(result.error).lower()


def test_a_datagram_that_the_network_refuses_takes_no_other_along() -> None:
    async def run() -> None:
        echoes = Echoes()
        loop = asyncio.get_running_loop()
        old, new = loop.create_future(), loop.create_future()
        echoes.waiting = {b"1": old, b"2": new}
        echoes.error_received(OSError("no route to host"))
        assert not old.done()
        with pytest.raises(OSError, match="no route"):
            await new
        echoes.datagram_received(b"1", ("x", 7))
        await old

    asyncio.run(run())
