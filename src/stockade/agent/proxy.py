"""Whether this controller's HAProxy works: told to every HAProxy that might send a request to an API here.

The APIs reach the database through their own host's HAProxy. Where that is dead or hung, they go on answering their
health checks and fail every request. HAProxy's `agent-check` asks here, and leaves all of this host's back ends.
"""

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterable

from stockade.agent.config import Settings
from stockade.agent.sockets import listening

log = logging.getLogger("stockade.agent.proxy")

LOOP_S = 0.5
ANSWER_S = 1.0
"""A HAProxy that takes longer for its own sign of life is hung."""
FALL = 2
"""Failed looks before the APIs are left; one could be a restart's instant."""
UP, DOWN = b"up\n", b"down\n"
"""HAProxy's agent protocol: `up` leaves the decision to the health check, `down` takes the server out."""


class Verdict:
    """What the last looks add up to. Begins as `up`: nobody is taken out of use before there is a reason."""

    def __init__(self, elsewhere: Callable[[], bool]) -> None:
        self.works = True
        self._elsewhere, self._failed = elsewhere, 0

    def saw(self, works: bool) -> None:  # noqa: FBT001 - what was seen
        """Count one look. Where no other controller is better off, leaving this one would help nobody."""
        self._failed = 0 if works else self._failed + 1
        verdict = self._failed < FALL or (self.works and not self._elsewhere())
        if verdict != self.works:
            log.warning("HAProxy here %s", "answers again" if verdict else "does not answer: APIs here are left alone")
        self.works = verdict


def watch(settings: Settings, stop: threading.Event) -> None:
    """Look at HAProxy all the time, and tell whoever connects to `settings.proxy_port`. Raises OSError."""
    others = [address for name, address in settings.controllers.items() if name != settings.host]
    verdict = Verdict(lambda: someone_is_up(others, settings.proxy_port))
    with listening(settings.address, settings.proxy_port) as server:
        server.settimeout(LOOP_S)
        threading.Thread(target=_look, args=(settings, verdict, stop), daemon=True).start()
        while not stop.is_set():
            try:
                connection, _peer = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(ANSWER_S)
                try:
                    connection.sendall(UP if verdict.works else DOWN)
                except OSError:
                    log.debug("a caller hung up")


def _look(settings: Settings, verdict: Verdict, stop: threading.Event) -> None:
    while not stop.wait(LOOP_S):
        verdict.saw(answers(settings.monitor_port))


def answers(port: int) -> bool:
    """True if HAProxy on this host gives its sign of life in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/alive")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def someone_is_up(addresses: Iterable[str], port: int) -> bool:
    """True if the agent of another controller says `up`."""
    for address in addresses:
        try:
            with socket.create_connection((address, port), timeout=ANSWER_S) as connection:
                if connection.recv(64) == UP:
                    return True
        except OSError:
            continue
    return False
