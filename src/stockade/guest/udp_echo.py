"""A UDP echo server as a 300-byte static ELF program, because busybox has none and hosts have no compiler.

The listing is the program: machine code beside the assembly that it came from. It answers every datagram
with itself, up to 16 128 bytes; on any error but a failed reply it ends, and the guest starts it again.
"""

from __future__ import annotations

import struct

PORT = 7

_LISTING = (
    # socket(AF_INET, SOCK_DGRAM, 0)
    ("bf 02 00 00 00", "mov    edi, 2"),
    ("be 02 00 00 00", "mov    esi, 2"),
    ("31 d2", "xor    edx, edx"),
    ("b8 29 00 00 00", "mov    eax, 41"),
    ("0f 05", "syscall"),
    ("85 c0", "test   eax, eax"),
    ("78 6b", "js     fail"),
    ("89 c3", "mov    ebx, eax"),
    # bind(ebx, address, 16)
    ("89 df", "mov    edi, ebx"),
    ("48 8d 35 6c 00 00 00", "lea    rsi, [rip + address]"),
    ("ba 10 00 00 00", "mov    edx, 16"),
    ("b8 31 00 00 00", "mov    eax, 49"),
    ("0f 05", "syscall"),
    ("85 c0", "test   eax, eax"),
    ("78 50", "js     fail"),
    ("48 81 ec 00 40 00 00", "sub    rsp, 0x4000"),
    # again: recvfrom(ebx, rsp + 64, 0x3f00, 0, rsp + 16, rsp)
    ("c7 04 24 10 00 00 00", "mov    dword ptr [rsp], 16"),
    ("89 df", "mov    edi, ebx"),
    ("48 8d 74 24 40", "lea    rsi, [rsp + 64]"),
    ("ba 00 3f 00 00", "mov    edx, 0x3f00"),
    ("45 31 d2", "xor    r10d, r10d"),
    ("4c 8d 44 24 10", "lea    r8, [rsp + 16]"),
    ("49 89 e1", "mov    r9, rsp"),
    ("b8 2d 00 00 00", "mov    eax, 45"),
    ("0f 05", "syscall"),
    ("85 c0", "test   eax, eax"),
    ("78 20", "js     fail"),
    # sendto(ebx, rsp + 64, what came, 0, rsp + 16, 16)
    ("89 c2", "mov    edx, eax"),
    ("89 df", "mov    edi, ebx"),
    ("48 8d 74 24 40", "lea    rsi, [rsp + 64]"),
    ("45 31 d2", "xor    r10d, r10d"),
    ("4c 8d 44 24 10", "lea    r8, [rsp + 16]"),
    ("41 b9 10 00 00 00", "mov    r9d, 16"),
    ("b8 2c 00 00 00", "mov    eax, 44"),
    ("0f 05", "syscall"),
    ("eb b7", "jmp    again"),
    # fail: exit(1)
    ("bf 01 00 00 00", "mov    edi, 1"),
    ("b8 3c 00 00 00", "mov    eax, 60"),
    ("0f 05", "syscall"),
)
_BASE = 0x400000
_HEADERS = 64 + 56


def program(port: int = PORT) -> bytes:
    """The executable for Linux on x86-64, listening on `port` of every IPv4 address."""
    code = b"".join(bytes.fromhex(machine) for machine, _ in _LISTING)
    address = struct.pack("<H", 2) + struct.pack(">H", port) + bytes(12)
    size = _HEADERS + len(code) + len(address)
    magic = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", magic, 2, 62, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code + address
