"""The load: sent when it is due whatever the answers are, and each outcome told for what it is."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from stockade.drill.history import SECOND_NS, Kind, decode
from stockade.drill.load import owners, plan, writer
from stockade.drill.load.arrivals import JITTER, arrivals
from stockade.drill.load.http import Client
from stockade.drill.load.outcome import of_error, of_status
from stockade.drill.load.stream import Recorder, Result, Running, Stream
from stockade.drill.scenario import READ_APIS, Load
from stockade.drill.things import APIS


def a_plan(url: str = "http://127.0.0.1:9") -> plan.LoadPlan:
    return plan.LoadPlan(
        seed=7,
        base_ns=0,
        ca_file=None,
        username="admin",
        password="secret",
        project_name="admin",
        apis=(plan.Api("identity", url, url, ""),),
        vips={},
        load=Load(tokens=1, reads=1, acknowledged=1, servers=0, datapath=20, writer=1),
        server={},
        guest="127.0.0.1",
    )


@pytest.mark.parametrize("rate_hz", [0.05, 1, 20])
def test_arrivals_keep_their_rate_and_their_seed(rate_hz: float) -> None:
    first = list(itertools.islice(arrivals(rate_hz, "1 token"), 200))
    assert first == list(itertools.islice(arrivals(rate_hz, "1 token"), 200))
    assert first != list(itertools.islice(arrivals(rate_hz, "2 token"), 200))
    period_s = 1 / rate_hz
    assert 0 <= first[0] <= period_s * (1 + JITTER)
    for one, other in itertools.pairwise(first):
        assert period_s * (1 - JITTER) <= other - one <= period_s * (1 + JITTER)


@pytest.mark.parametrize(
    ("status", "writes", "kind"),
    [
        (200, False, Kind.OK),
        (201, True, Kind.FAIL),
        (401, False, Kind.FAIL),
        (404, False, Kind.FAIL),
        (409, True, Kind.FAIL),
        (503, False, Kind.FAIL),
        (500, True, Kind.INFO),
        (503, True, Kind.INFO),
    ],
)
def test_a_status_is_judged_by_the_operation_and_not_by_being_below_500(
    status: int,
    writes: bool,  # noqa: FBT001  a parameter of the table
    kind: Kind,
) -> None:
    assert of_status(status, {200}, writes=writes) is kind


def test_only_a_write_that_was_sent_is_unknown() -> None:
    assert of_error(sent=True, writes=True) is Kind.INFO
    assert of_error(sent=False, writes=True) is Kind.FAIL
    assert of_error(sent=True, writes=False) is Kind.FAIL


def test_the_plan_survives_its_way() -> None:
    assert plan.decode(plan.encode(a_plan())) == a_plan()


def test_what_a_scenario_may_expect_of_reads_is_what_is_read() -> None:
    assert tuple(name for name, _type, _path in APIS if name != "identity") == READ_APIS


def test_the_guests_line() -> None:
    line = "writing 42 7 5a1f 12.5"
    assert writer.parse(line) == {"state": "writing", "last": 42, "first": 7, "boot": "5a1f", "uptime_s": 12.5}
    with pytest.raises(ValueError, match="unpack"):
        writer.parse("starting")


def test_who_answers_for_an_address() -> None:
    table = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.77.3.10       0x1         0x2         02:4d:00:00:03:0b     *        ext\n"
        "10.77.0.10       0x1         0x0         00:00:00:00:00:00     *        mgmt\n"
    )
    assert owners.parse(table) == {"10.77.3.10": "02:4d:00:00:03:0b"}


class Written:
    """A recorder that keeps its lines."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def events(self) -> list[Any]:
        return [decode(line, 0) for line in self._capfd.readouterr().out.splitlines()]


def run_for(stream: Stream, seconds: float) -> None:
    async def work() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        await Running(stream, Recorder(0), 1).run(stop)

    asyncio.run(work())


def test_the_loop_is_open_answers_that_do_not_come_hold_up_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A closed loop stops sampling exactly when the system is ill."""

    async def never(_number: int) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    run_for(Stream("read", 50, 0.3, never), 0.5)
    events = Written(capfd).events()
    assert len(events) >= 20
    assert {each.kind for each in events} == {Kind.FAIL}
    assert {each.error for each in events} == {"no answer in time"}
    assert all(0.25 * SECOND_NS < each.latency_ns < 2 * SECOND_NS for each in events)


def test_a_write_is_on_record_before_it_is_sent(capfd: pytest.CaptureFixture[str]) -> None:
    async def breaks(number: int) -> Result:
        raise RuntimeError(f"no {number}")

    run_for(Stream("set-add", 20, 1, breaks, writes=True, key=lambda number: f"r{number}"), 0.2)
    events = Written(capfd).events()
    kinds = [each.kind for each in events if each.key == "r0"]
    assert kinds == [Kind.INVOKE, Kind.INFO]


class Handler(BaseHTTPRequestHandler):
    """Answers by its path: a status, a reset, or nothing at all."""

    def do_GET(self) -> None:
        if self.path == "/reset":
            self.connection.close()
            return
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def send(url: str, *, writes: bool) -> tuple[Result, httpx.Response | None]:
    async def work() -> tuple[Result, httpx.Response | None]:
        client = Client(a_plan())
        try:
            return await client.send("PUT" if writes else "GET", url, {200}, writes=writes)
        finally:
            await client.close()

    return asyncio.run(work())


def test_requests_tell_what_became_of_them(server: str) -> None:
    assert send(f"{server}/200", writes=True)[0].kind is Kind.OK
    assert send(f"{server}/503", writes=True)[0].kind is Kind.INFO
    assert send(f"{server}/503", writes=False)[0].kind is Kind.FAIL
    # The request was sent, and nobody knows how far it came.
    assert send(f"{server}/reset", writes=True)[0].kind is Kind.INFO
    # Nothing listens: nothing was sent.
    refused, answer = send("http://127.0.0.1:1/", writes=True)
    assert (refused.kind, answer) == (Kind.FAIL, None)
    assert "ConnectError" in str(refused.error)


def test_nothing_secret_is_in_what_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(0)
    recorder.write(Kind.OK, "token", start_ns=0, lag_ns=0)
    line = capfd.readouterr().out
    assert set(json.loads(line)) == {"index", "time_ns", "kind", "f", "process", "start_ns", "lag_ns"}
