"""How long operations show themselves: a bar per phase and what each host does; plain lines without a terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

REFRESH_HZ = 4
"""Often enough to look alive, seldom enough not to cost a loaded machine anything."""


class Screen:
    """A `machines.base.Progress` on the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._doing: dict[str, str] = {}
        self._live: Live | None = None
        self._started = time.monotonic()
        self._phase = ""

    def __enter__(self) -> Screen:
        """Begin to draw, if there is a terminal to draw on."""
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._draw,
                console=self._console,
                refresh_per_second=REFRESH_HZ,
                transient=True,
            )
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was, with one line per phase."""
        self._end_phase()
        if self._live:
            self._live.__exit__(kind, error, trace)

    def phase(self, name: str, total: int) -> None:
        """A phase begins; the one before it is done."""
        self._end_phase()
        self._phase, self._started = name, time.monotonic()
        self._task = self._bars.add_task(name, total=total)

    def advance(self, steps: int = 1) -> None:
        """Steps of this phase are done."""
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def doing(self, host: str, what: str) -> None:
        """A host is doing something, or nothing any more."""
        if what:
            self._doing[host] = what
        else:
            self._doing.pop(host, None)

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"[dim]  {escape(text)}[/dim]")

    def _end_phase(self) -> None:
        if self._task is None:
            return
        self._bars.remove_task(self._task)
        self._task = None
        self._console.print(f"[dim]{self._phase:<10} {time.monotonic() - self._started:6.1f} s[/dim]", highlight=False)

    def _draw(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for host, what in sorted(self._doing.items()):
            table.add_row(f"[bold]{host}[/bold]", what[: max(20, self._console.width - 16)])
        return Group(self._bars, table)
