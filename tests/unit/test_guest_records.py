"""The ring of records: how the writer finds its place in it again, and how the checker reads it back.

The writer's own shell functions run here on plain files; under an emulator they were run on real disks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from stockade.guest.page import NotAGuestError, Records, parse_records

BOOT_A = "9e296a02-8998-4e4d-a537-f7fdffce8694"
BOOT_B = "9742be29-9aaf-41aa-819b-d2248dfce962"

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="runs the functions in bash")

SCRIPT = resources.files("stockade.guest").joinpath("writer.sh").read_text()


def record(number: int, boot: str = BOOT_A, uptime_ms: int | None = None) -> bytes:
    uptime = 1000 + 430 * number if uptime_ms is None else uptime_ms
    text = f"SR1 {number} {boot} {uptime} {1_795_368_971_000_000 + number} host-serial-1"
    return f"{text:<510}.\n".encode()


def volume(slots: int, *sectors: tuple[int, bytes]) -> bytes:
    data = bytearray((8 + slots) * 512)
    data[:512] = f"{f'STOCKADE-WRITER 1 {slots}':<510}.\n".encode()
    for slot, sector in sectors:
        data[(8 + slot) * 512 : (9 + slot) * 512] = sector
    return bytes(data)


def ring(slots: int, numbers: range, boot: str = BOOT_A) -> list[tuple[int, bytes]]:
    return [((number - 1) % slots, record(number, boot)) for number in numbers]


def test_a_ring_that_went_round_is_continuous() -> None:
    found = parse_records(volume(16, *ring(16, range(24, 27)), *ring(16, range(27, 40), BOOT_B)))
    assert found.problems == ()
    assert (found.last, len(found.records), found.records[0].number) == (39, 16, 24)
    assert found.boots == (BOOT_A, BOOT_B)
    assert (found.lost(39), found.lost(41)) == (0, 2)


def test_an_unwritten_ring_is_sound() -> None:
    assert parse_records(volume(16)) == Records(16, (), ())


def test_a_number_missing_inside_is_found() -> None:
    found = parse_records(volume(16, *ring(16, range(1, 5)), *ring(16, range(7, 9))))
    assert found.problems == ("2 missing between 4 and 7",)


def test_numbers_missing_before_the_first_are_found() -> None:
    assert parse_records(volume(16, *ring(16, range(3, 6)))).problems == ("2 missing between 0 and 3",)


def test_a_slot_that_missed_a_round_is_found() -> None:
    sectors = dict(ring(16, range(24, 40)))
    sectors[(24 - 1) % 16] = record(8)
    found = parse_records(volume(16, *sectors.items()))
    assert found.problems == ("slot 7 still holds 8, not 24", "1 missing between 23 and 25")


def test_a_torn_sector_is_no_record() -> None:
    torn = record(3)[:200] + bytes(312)
    found = parse_records(volume(16, *ring(16, range(1, 3)), (2, torn)))
    assert found.problems == ("slot 2 holds no whole record",)
    assert found.last == 2


def test_a_record_in_a_foreign_slot_is_found() -> None:
    found = parse_records(volume(16, *ring(16, range(1, 3)), (9, record(3))))
    assert found.problems == ("number 3 lies in slot 9, not in its own",)


def test_two_writers_in_turns_are_found() -> None:
    found = parse_records(volume(16, (0, record(1)), (1, record(2, BOOT_B)), (2, record(3)), (3, record(4, BOOT_B))))
    assert f"boot {BOOT_A} writes again at 3: two writers" in found.problems


def test_time_running_backwards_in_a_boot_is_found() -> None:
    found = parse_records(volume(16, (0, record(1, uptime_ms=5000)), (1, record(2, uptime_ms=4000))))
    assert found.problems == (f"uptime runs backwards at 2 in boot {BOOT_A}",)


def test_a_copy_cut_short_is_found() -> None:
    whole = volume(16, *ring(16, range(1, 4)))
    assert parse_records(whole[: 512 * 12]).problems == ("the data ends in slot 4 of 16",)


@pytest.mark.parametrize("header", [b"", b"STOCKADE-ROOT 1", b"STOCKADE-WRITER 2 16 .", b"STOCKADE-WRITER 1 x ."])
def test_a_volume_without_our_header_is_refused(header: bytes) -> None:
    with pytest.raises(NotAGuestError):
        parse_records(header.ljust(8192, b"\0"))


def function(name: str) -> str:
    found = re.search(rf"^{name}\(\) \{{\n.*?^\}}\n", SCRIPT, re.MULTILINE | re.DOTALL)
    assert found, name
    return found.group().replace("iflag=direct,skip_bytes", "iflag=skip_bytes").replace("oflag=direct ", "")


def run(tmp_path: Path, data: bytes, code: str) -> str:
    disk = tmp_path / "disk"
    disk.write_bytes(data)
    functions = "".join(function(name) for name in ("fetch", "put", "slot", "zeros", "blank", "format", "resume"))
    settings = f"RECORD=512 FIRST=8 MAX_SLOTS=65536 MIB=2048 DISK={disk}\n"
    script = f"cd {tmp_path}\n{settings}{functions}{code}\n"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def resume(tmp_path: Path, slots: int, data: bytes) -> tuple[int, int]:
    last, gaps = run(tmp_path, data, f"slots={slots}; resume && echo $last $gaps").split()
    return int(last), int(gaps)


@pytest.mark.parametrize("last", [0, 1, 2, 3, 15, 16, 17, 18, 31, 32, 33, 40])
@needs_bash
def test_it_goes_on_after_the_newest(tmp_path: Path, last: int) -> None:
    numbers = range(max(1, last - 15), last + 1)
    assert resume(tmp_path, 16, volume(16, *ring(16, numbers))) == (last, 0)


@pytest.mark.parametrize("last", [63, 64, 65, 100, 128, 129, 200])
@needs_bash
def test_it_looks_at_the_newest_sixty_four(tmp_path: Path, last: int) -> None:
    numbers = range(max(1, last - 127), last + 1)
    assert resume(tmp_path, 128, volume(128, *ring(128, numbers))) == (last, 0)


@needs_bash
def test_a_write_cut_short_does_not_count(tmp_path: Path) -> None:
    torn = record(5)[:100] + bytes(412)
    assert resume(tmp_path, 16, volume(16, *ring(16, range(1, 5)), (4, torn))) == (4, 0)


@needs_bash
def test_a_round_whose_first_write_was_cut_short_goes_on(tmp_path: Path) -> None:
    sectors = dict(ring(16, range(1, 17)))
    sectors[0] = record(17)[:100] + bytes(412)
    assert resume(tmp_path, 16, volume(16, *sectors.items()))[0] == 16


@needs_bash
def test_a_missing_number_is_counted(tmp_path: Path) -> None:
    sectors = dict(ring(16, range(1, 12)))
    sectors[9] = record(3)
    last, gaps = resume(tmp_path, 16, volume(16, *sectors.items()))
    assert (last, gaps) == (11, 1)


@pytest.mark.parametrize(
    ("at", "answer"),
    [(None, "0"), (0, "1"), (4096, "1"), (32769, "1"), ((1 << 20) - 1, "1"), ((4 << 20) - 512, "1")],
)
@needs_bash
def test_only_zeros_at_both_ends_are_blank(tmp_path: Path, at: int | None, answer: str) -> None:
    data = bytearray(4 << 20)
    if at is not None:
        data[at] = 1
    assert run(tmp_path, bytes(data), "sectors=8192; blank; echo $?") == answer


@needs_bash
def test_a_disk_that_cannot_be_read_is_not_blank_and_not_refused(tmp_path: Path) -> None:
    code = f"DISK={tmp_path}/gone; sectors=8192; sequence=7; blank; echo $? ${{refused:-none}}"
    assert run(tmp_path, b"", code) == "2 none"


@needs_bash
def test_a_new_header_is_read_by_the_checker(tmp_path: Path) -> None:
    run(tmp_path, bytes(6 << 20), "sectors=12288; format")
    assert parse_records((tmp_path / "disk").read_bytes()).slots == 8192


def test_it_never_reaches_a_disk_by_name() -> None:
    for name in ("fetch", "put"):
        assert "$DISK" in function(name)
        assert "/dev/$" not in function(name)
