"""The live view of a drill: what is being done, and what is failing just now."""

from __future__ import annotations

from collections import Counter

from stockade.drill.history import COMPLETIONS, SECOND_NS, Event, Kind
from stockade.machines.base import Progress


class DrillView:
    """Sees every event and keeps the screen true."""

    def __init__(self, screen: Progress) -> None:
        self._screen = screen
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._since_ns: dict[str, int] = {}
        """Since when a stream fails."""

    def see(self, event: Event) -> None:
        """Take in one event."""
        if event.kind is Kind.NEMESIS:
            self._note(event, f"{event.f}: {event.value or event.error or ''}")
        elif event.kind is Kind.OBSERVE and event.f == "target":
            self._note(event, f"target: {', '.join(event.value['hosts']) or 'nobody'}")
        elif event.kind in COMPLETIONS:
            self._count(event)

    def _count(self, event: Event) -> None:
        self._done[event.f] += 1
        if event.kind is Kind.OK:
            since_ns = self._since_ns.pop(event.f, None)
            if since_ns is not None:
                self._note(
                    event, f"{event.f} succeeds again, {_seconds(event.time_ns - since_ns)} after its first failure"
                )
        else:
            self._failed[event.f] += 1
            self._since_ns.setdefault(event.f, event.time_ns if event.start_ns is None else event.start_ns)
        text = f"{self._done[event.f]:5} done, {self._failed[event.f]} failed"
        if event.f in self._since_ns:
            text += f"; FAILING since {_seconds(event.time_ns - self._since_ns[event.f])}: {event.error or ''}"
        self._screen.doing(event.f, text)

    def _note(self, event: Event, text: str) -> None:
        self._screen.note(f"{_seconds(event.time_ns):>8}  {text}")


def _seconds(time_ns: int) -> str:
    return f"{time_ns / SECOND_NS:.1f} s"
