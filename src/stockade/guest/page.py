"""What the guest says, on its status page and on its volume, as values. Pure: takes text and bytes.

A record is one sector of text, ``SR1 <number> <boot id> <uptime ms> <wall µs> <host> .``, in a ring of slots
after a header; ``docs/design/guest.md`` has the layout and the order in which the guest writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

RECORD_SIZE = 512
FIRST_SECTOR = 8
_HEADER = "STOCKADE-WRITER"


class NotAGuestError(ValueError):
    """What was read is not what a guest of ours writes."""


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """The writer: `last` is acknowledged (stable on the disk), `first` the first one of this boot (0: none).

    `resumed_from` is the last number that it found on the disk, `gaps` how many numbers were missing among
    the newest 64 there; `errors` counts writes that failed and were tried again.
    """

    state: str
    disk: str
    serial: str
    last: int
    first: int
    resumed_from: int
    gaps: int
    errors: int


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """The status page. `host` is the machine's serial number, `ready_s` the uptime at the first lease."""

    instance_id: str
    hostname: str
    uuid: str
    host: str
    boot_id: str
    kernel: str
    uptime_s: float
    ready_s: float | None
    memory_available_kb: int
    watchdog: str
    writer: WriterStatus
    lease: tuple[tuple[str, str], ...]

    @property
    def address(self) -> str:
        """The leased address, without its prefix length; empty before the first lease."""
        return dict(self.lease).get("ip", "").partition("/")[0]


@dataclass(frozen=True, slots=True)
class Record:
    """One acknowledged or interrupted write; `slot` is where in the ring it lies."""

    number: int
    boot_id: str
    uptime_ms: int
    wall_us: int
    host: str
    slot: int


@dataclass(frozen=True, slots=True)
class Records:
    """All records of a volume by number, and in `problems` one sentence for each thing that is wrong."""

    slots: int
    records: tuple[Record, ...]
    problems: tuple[str, ...]

    @property
    def last(self) -> int:
        """The newest number, 0 without any."""
        return self.records[-1].number if self.records else 0

    @property
    def boots(self) -> tuple[str, ...]:
        """Boot ids in the order in which they wrote."""
        return tuple(dict.fromkeys(record.boot_id for record in self.records))

    def lost(self, acknowledged: int) -> int:
        """How many numbers up to `acknowledged` are missing at the end."""
        return max(0, acknowledged - self.last)


def parse_status(text: str) -> GuestStatus:
    """The status page; raises `NotAGuestError` for anything else, an incomplete page included."""
    try:
        page: dict[str, Any] = json.loads(text)
        if page["schema"] != 1:
            raise NotAGuestError(f"status page of schema {page['schema']}, known is 1")
        return GuestStatus(
            instance_id=str(page["instance_id"]),
            hostname=str(page["hostname"]),
            uuid=str(page["uuid"]),
            host=str(page["host"]),
            boot_id=str(page["boot_id"]),
            kernel=str(page["kernel"]),
            uptime_s=float(page["uptime_s"]),
            ready_s=None if page["ready_s"] is None else float(page["ready_s"]),
            memory_available_kb=int(page["memory_available_kb"]),
            watchdog=str(page["watchdog"]),
            writer=_writer(page["writer"]),
            lease=tuple((key, value) for key, _, value in (str(line).partition("=") for line in page["lease"])),
        )
    except NotAGuestError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise NotAGuestError(f"no status page: {error!r}") from error


def parse_records(volume: bytes) -> Records:
    """Reads the ring back from the start of a volume and says everything that is wrong with it."""
    slots = _slots(volume)
    found: list[Record] = []
    problems: list[str] = []
    for slot in range(slots):
        start = (FIRST_SECTOR + slot) * RECORD_SIZE
        sector = volume[start : start + RECORD_SIZE]
        if len(sector) < RECORD_SIZE:
            problems.append(f"the data ends in slot {slot} of {slots}")
            break
        if not any(sector):
            continue
        record = _record(sector, slot)
        if record is None:
            problems.append(f"slot {slot} holds no whole record")
        elif (record.number - 1) % slots != slot:
            problems.append(f"number {record.number} lies in slot {slot}, not in its own")
        else:
            found.append(record)
    found.sort(key=lambda record: record.number)
    return Records(slots, tuple(found), (*problems, *_discontinuities(found, slots), *_mixed_boots(found)))


def _writer(writer: dict[str, Any]) -> WriterStatus:
    return WriterStatus(
        state=str(writer["state"]),
        disk=str(writer["disk"]),
        serial=str(writer["serial"]),
        last=int(writer["last"]),
        first=int(writer["first"]),
        resumed_from=int(writer["resumed_from"]),
        gaps=int(writer["gaps"]),
        errors=int(writer["errors"]),
    )


def _slots(volume: bytes) -> int:
    words = volume[:RECORD_SIZE].split()
    if len(words) != 4 or words[0] != _HEADER.encode() or words[1] != b"1" or not words[2].isdigit():
        raise NotAGuestError("the volume does not begin with the writer's header")
    return int(words[2])


def _record(sector: bytes, slot: int) -> Record | None:
    match sector.split():
        case [b"SR1", number, boot_id, uptime, wall, host, b"."] if sector.endswith(b".\n") and (
            number.isdigit() and uptime.isdigit() and wall.isdigit()
        ):
            return Record(int(number), boot_id.decode(), int(uptime), int(wall), host.decode(), slot)
    return None


def _discontinuities(records: list[Record], slots: int) -> list[str]:
    """Numbers missing among those that the ring, `slots` long, must hold; and what it should have dropped."""
    problems: list[str] = []
    dropped = previous = max(0, records[-1].number - slots) if records else 0
    for record in records:
        if record.number <= dropped:
            problems.append(f"slot {record.slot} still holds {record.number}, not {record.number + slots}")
            continue
        missing = record.number - previous - 1
        if missing:
            problems.append(f"{missing} missing between {previous} and {record.number}")
        previous = record.number
    return problems


def _mixed_boots(records: list[Record]) -> list[str]:
    """Two boots in turns are two writers; a clock running backwards inside one boot is a rolled-back disk."""
    problems: list[str] = []
    seen: set[str] = set()
    for before, record in zip([None, *records], records, strict=False):
        if before is None or record.boot_id != before.boot_id:
            if record.boot_id in seen:
                problems.append(f"boot {record.boot_id} writes again at {record.number}: two writers")
            seen.add(record.boot_id)
        elif record.uptime_ms < before.uptime_ms:
            problems.append(f"uptime runs backwards at {record.number} in boot {record.boot_id}")
    return problems
