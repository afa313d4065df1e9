"""The image is the same bytes for the same sources, and holds what its scripts call."""

from __future__ import annotations

import gzip
import lzma
import platform
import re
import socket
import struct
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest

from stockade.errors import BuildError
from stockade.guest import cpio, udp_echo
from stockade.guest.image import APPLETS, GuestSources, build, find_sources, is_static, root_disk
from stockade.guest.modules import ModuleTree, depends

VERSION = "6.12.9+deb13-cloud-amd64"
MODULES = {
    "net/core/failover.ko.xz": "",
    "drivers/net/net_failover.ko.xz": "failover",
    "drivers/net/virtio_net.ko.xz": "net_failover,virtio",
    "drivers/block/virtio_blk.ko": "",
    "drivers/acpi/button.ko.xz": "",
    "drivers/input/evdev.ko.xz": "",
    "drivers/watchdog/i6300esb.ko.xz": "",
}


def elf(*segment_kinds: int) -> bytes:
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(segment_kinds), 0, 0, 0
    )
    return header + b"".join(struct.pack("<I52x", kind) for kind in segment_kinds)


def unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """A reader of the format, written from its description and not from the writer."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        data_at = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[data_at : data_at + size])
        at = (data_at + size + 3) & ~3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "root"
    modules = base / "usr/lib/modules" / VERSION
    for name, needs in MODULES.items():
        path = modules / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"\x7fELF...\0depends=" + needs.encode() + b"\0" + name.encode()
        path.write_bytes(lzma.compress(data) if name.endswith(".xz") else data)
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio.ko\n")
    (base / "boot").mkdir()
    (base / "boot" / f"vmlinuz-{VERSION}").write_bytes(b"a kernel")
    (base / "usr/bin").mkdir(parents=True)
    (base / "usr/bin/busybox").write_bytes(elf(1))
    return base


@pytest.fixture
def sources(root: Path) -> GuestSources:
    return find_sources(root)


def test_sources_are_found_together_or_apart(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (root / "usr/bin/busybox").rename(other / "bin/busybox")
    found = find_sources(root, other)
    assert found.kernel.name == f"vmlinuz-{VERSION}"
    assert found.busybox == other / "bin/busybox"


def test_the_newest_kernel_that_has_modules_is_taken(root: Path) -> None:
    for version, has_modules in (("6.12.10+deb13-cloud-amd64", True), ("6.12.11+deb13-cloud-amd64", False)):
        (root / f"boot/vmlinuz-{version}").write_bytes(b"newer")
        if has_modules:
            (root / "usr/lib/modules" / version / "kernel").mkdir(parents=True)
    assert find_sources(root).kernel.name == "vmlinuz-6.12.10+deb13-cloud-amd64"


def test_what_is_missing_is_named(root: Path) -> None:
    (root / "usr/bin/busybox").write_bytes(elf(1, 3))
    with pytest.raises(BuildError, match="busybox-static"):
        find_sources(root)
    (root / f"boot/vmlinuz-{VERSION}").unlink()
    with pytest.raises(BuildError, match="linux-image-cloud-amd64"):
        find_sources(root)


def test_a_dynamic_program_is_not_static() -> None:
    assert is_static(elf(1, 2))
    assert not is_static(elf(1, 3))
    assert not is_static(b"#!/bin/sh\n")


def test_modules_come_after_what_they_need(sources: GuestSources) -> None:
    tree = ModuleTree(sources.modules_dir)
    assert list(tree.in_load_order(["virtio_net"])) == ["failover", "net_failover", "virtio_net"]
    assert list(tree.in_load_order(["virtio"])) == []
    with pytest.raises(BuildError, match="nosuch"):
        tree.in_load_order(["nosuch"])


def test_modules_that_need_each_other_are_refused(sources: GuestSources) -> None:
    for name, needs in (("one", "two"), ("two", "one")):
        (sources.modules_dir / f"kernel/{name}.ko").write_bytes(f"x\0depends={needs}\0".encode())
    with pytest.raises(BuildError, match="one -> two -> one"):
        ModuleTree(sources.modules_dir).in_load_order(["one"])


def test_dependencies_are_read_from_the_module() -> None:
    assert depends(b"\0license=GPL\0depends=net-failover,virtio_ring\0retpoline=Y\0") == ("net_failover", "virtio_ring")
    assert depends(b"\0depends=\0") == ()


def test_the_initrd_holds_all_that_runs(sources: GuestSources, tmp_path: Path) -> None:
    image = build(sources.kernel, sources.modules_dir, sources.busybox, tmp_path / "out")
    files = unpack(gzip.decompress(image.ramdisk.read_bytes()))
    assert image.kernel.read_bytes() == b"a kernel"
    assert files["init"] == (0o100755, resources.files("stockade.guest").joinpath("init.sh").read_bytes())
    assert files["bin/sh"] == (0o120777, b"busybox")
    assert files["dev/console"][0] == 0o020600
    assert files["lib/modules/boot"][1] == b"failover\nnet_failover\nvirtio_net\nvirtio_blk\n"
    assert files["lib/modules/watchdog"][1] == b"i6300esb\n"
    assert files["lib/modules/virtio_net.ko"][1].startswith(b"\x7fELF")
    for path in files:
        parent = path.rpartition("/")[0]
        assert not parent or parent in files, f"{path} comes without its directory"
    names = list(files)
    assert all(names.index(p.rpartition("/")[0]) < names.index(p) for p in names if "/" in p)


def test_the_same_sources_give_the_same_bytes(sources: GuestSources, tmp_path: Path) -> None:
    parts = (sources.kernel, sources.modules_dir, sources.busybox)
    one, two = build(*parts, tmp_path / "one"), build(*parts, tmp_path / "two")
    assert one.ramdisk.read_bytes() == two.ramdisk.read_bytes()
    assert one.ramdisk.parent.name == two.ramdisk.parent.name
    before = one.ramdisk.stat().st_mtime_ns
    assert build(*parts, tmp_path / "one") == one
    assert one.ramdisk.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "one").iterdir()] == [one.ramdisk.parent.name]


def test_another_input_gives_another_image(sources: GuestSources, tmp_path: Path) -> None:
    parts = (sources.kernel, sources.modules_dir, sources.busybox, tmp_path / "out")
    before = build(*parts)
    sources.busybox.write_bytes(elf(1) + b"newer")
    assert build(*parts).ramdisk.parent != before.ramdisk.parent


def test_faults_are_obeyed_only_on_demand(sources: GuestSources, tmp_path: Path) -> None:
    image = build(sources.kernel, sources.modules_dir, sources.busybox, tmp_path)
    assert "stockade.faults" not in image.properties()["os_command_line"]
    assert image.properties(faults=True)["os_command_line"].split()[-1] == "stockade.faults"
    assert "console=ttyS0" in image.properties()["os_command_line"].split()


def test_the_root_disk_is_not_blank() -> None:
    assert root_disk().startswith(b"STOCKADE-ROOT")
    assert len(root_disk()) == 4 << 20


def test_every_applet_that_the_scripts_call_is_linked() -> None:
    known = {"acpid", "cat", "cmp", "dd", "httpd", "insmod", "ip", "mkfifo", "mount", "mv", "nc", "poweroff", "rm"}
    known |= {"sleep", "sync", "udhcpc", "watchdog", "wget", "hostname", "sed", "awk", "grep", "head", "tail", "tr"}
    called: set[str] = set()
    for script in resources.files("stockade.guest").iterdir():
        if script.name.endswith(".sh"):
            code = re.sub(r"(?m)(^|\s)#.*$", "", script.read_text())
            called |= set(re.findall(r"\b[a-z]+\b", code)) & known
    assert {"dd", "udhcpc", "httpd", "wget", "acpid"} <= called
    assert called <= set(APPLETS)


def test_the_scripts_parse() -> None:
    for script in resources.files("stockade.guest").iterdir():
        if script.name.endswith(".sh"):
            subprocess.run(["sh", "-n"], input=script.read_bytes(), check=True)


def test_the_archive_is_padded_and_deterministic() -> None:
    entries = [cpio.directory("a"), cpio.regular("a/b", b"12345"), cpio.symlink("a/c", "b")]
    assert cpio.archive(entries) == cpio.archive(entries)
    assert len(cpio.archive(entries)) % 512 == 0
    assert unpack(cpio.archive(entries))["a/b"] == (0o100644, b"12345")


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the program is for Linux on x86-64"
)
def test_the_udp_echo_program_echoes(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = tmp_path / "udp-echo"
    program.write_bytes(udp_echo.program(port))
    program.chmod(0o755)
    with subprocess.Popen([str(program)]) as running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        try:
            client.settimeout(0.2)
            client.connect(("127.0.0.1", port))
            for datagram in (b"x", b"seq 17", bytes(range(256)) * 5, b""):
                assert _ask(client, datagram) == datagram
            assert running.poll() is None
        finally:
            running.kill()


def _ask(client: socket.socket, datagram: bytes) -> bytes | None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            client.send(datagram)
            return client.recv(4096)
        except OSError:
            time.sleep(0.02)
    return None
