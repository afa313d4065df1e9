"""`python3 -m stockade.agent [CONFIG]`: run this host's duties until told to stop."""

import logging
import signal
import sys
import threading
from collections.abc import Callable

from stockade.agent import config, database, grant, keys, proxy

log = logging.getLogger("stockade.agent")


def main(path: str) -> int:
    """Run every duty of this host in a thread of its own, so that one that hangs stops no other."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    settings = config.load(path)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    duties: dict[str, Callable[[config.Settings, threading.Event], None]] = {}
    if settings.controller:
        duties |= {
            "database": database.keep,
            "database health": database.serve,
            "keys": keys.keep,
            "proxy": proxy.watch,
        }
    if settings.compute:
        duties |= {"grant": grant.keep}
    threads = [
        threading.Thread(target=_guarded, args=(name, duty, settings, stop), daemon=True)
        for name, duty in duties.items()
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    return 0


def _guarded(
    name: str,
    duty: Callable[[config.Settings, threading.Event], None],
    settings: config.Settings,
    stop: threading.Event,
) -> None:
    """A duty that raises is logged and begun again after `RETRY_S`."""
    while not stop.is_set():
        try:
            duty(settings, stop)
        except Exception:
            log.exception("%s failed; beginning again in %s s", name, RETRY_S)
        stop.wait(RETRY_S)


RETRY_S = 2

if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else config.PATH))
