"""Where the cloud's secrets must not be: arguments of processes, and journals."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cloud_handle import Cloud

from stockade.cloud.paths import state_dir

SAMPLE_S = 0.25
YOUNG_S = 2.0
"""A process is looked at again while it is this young: it may replace its program."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Answers, per place, the names of the secrets found there. The values come on standard input.
SEARCH = """
import json, pathlib, subprocess, sys
secrets = {name: value.encode() for name, value in json.load(sys.stdin).items()}
found = {"argv": [], "journal": []}
processes = {}
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        processes[path.parent.name] = path.read_bytes()
    except OSError:
        pass
for name, value in secrets.items():
    found["argv"] += [f"{name}: process {number}" for number, text in processes.items() if value in text]
journal = subprocess.Popen(["journalctl", "--no-pager", "--all", "--output=cat"], stdout=subprocess.PIPE)
kept, seen, size = b"", set(), 0
while block := journal.stdout.read(1 << 22):
    text = kept + block
    seen |= {name for name, value in secrets.items() if value in text}
    kept, size = text[-4096:], size + len(block)
found["journal"] = sorted(seen)
found["looked_at"] = [len(processes), size]
json.dump(found, sys.stdout)
"""


def values(cloud: Cloud) -> dict[str, str]:
    """Everything that must stay secret, by name. UUIDs and subjects name things, and certificates are public."""
    kept: Mapping[str, str] = json.loads((state_dir(cloud.model.name) / "secrets.json").read_text())
    chosen = {}
    for name, value in kept.items():
        if _UUID.fullmatch(value) or "BEGIN CERTIFICATE" in value or name.endswith(".subjects"):
            continue
        lines = value.splitlines()
        # A key file's second line is of the key itself; its first is the same for all.
        chosen[name] = lines[1] if len(lines) > 1 else value
    if "neutron.vrrp" in kept:
        chosen["neutron.vrrp, as VRRP knows it"] = kept["neutron.vrrp"][:8]
    return chosen


class ArgvWatch:
    """Collects the arguments of every process that this computer starts, the machines' processes among them."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._first: dict[str, float] = {}
        self._stop = threading.Event()

    def look(self) -> None:
        """One look at all processes that are new or young."""
        now = time.monotonic()
        present = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
        for number in self._first.keys() - present:
            del self._first[number]
        for number in present:
            if now - self._first.setdefault(number, now) > YOUNG_S:
                continue
            with suppress(OSError):
                self.seen.add(Path("/proc", number, "cmdline").read_bytes())

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.look()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Collect while the block runs."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(10)

    def found(self, secrets: Mapping[str, str]) -> list[str]:
        """Names of secrets that stood in some process's arguments."""
        return sorted(name for name, value in secrets.items() if any(value.encode() in text for text in self.seen))
