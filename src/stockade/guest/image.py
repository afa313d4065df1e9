"""Builds the guest: a kernel, an initrd that is its whole user space, and a root disk that only has to exist.

Everything comes from Debian packages unpacked somewhere (`find_sources`); the same inputs give the same bytes,
and an image that was built before is found again by the hash of its inputs.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from stockade.errors import BuildError
from stockade.guest import cpio, udp_echo
from stockade.guest.modules import ModuleTree

# What the guest is booted with. Under emulation every check that the kernel makes of itself costs boot time.
KERNEL_ARGUMENTS = (
    "console=tty0 console=ttyS0 quiet loglevel=4 no_timer_check tsc=reliable nokaslr mitigations=off "
    "init_on_alloc=0 apparmor=0 audit=0 nmi_watchdog=0 cryptomgr.notests i8042.noaux random.trust_cpu=on "
    "8250.nr_uarts=1"
)
FAULT_ARGUMENT = "stockade.faults"
ROOT_DISK_MIB = 4

# Modules by when /init loads them; what they need comes along.
_MODULES = {
    "boot": ("virtio_net", "virtio_blk"),
    "button": ("button", "evdev"),
    "watchdog": ("i6300esb",),
}
_SCRIPTS = {
    "init": "init.sh",
    "sbin/counter": "counter.sh",
    "sbin/dhcp": "dhcp.sh",
    "sbin/fault": "fault.sh",
    "sbin/writer": "writer.sh",
    "www/cgi-bin/index.cgi": "status.sh",
    "etc/acpi/PWRF/00000080": "power.sh",
}
APPLETS = (
    *("acpid", "cat", "cmp", "dd", "hostname", "httpd", "insmod", "ip", "mkfifo", "mount", "mv", "nc"),
    *("poweroff", "rm", "sh", "sleep", "sync", "udhcpc", "watchdog", "wget"),
)
_DIRECTORIES = ("bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "lib/modules", "proc", "run", "sbin", "sys")
_WEB_DIRECTORIES = ("www", "www/cgi-bin")


@dataclass(frozen=True, slots=True)
class GuestSources:
    """Where the parts of a guest are: a kernel, the modules of that kernel, a static busybox."""

    kernel: Path
    modules_dir: Path
    busybox: Path


@dataclass(frozen=True, slots=True)
class GuestImage:
    """A built guest, as three files for Glance (aki, ari, and a raw root disk)."""

    kernel: Path
    ramdisk: Path
    disk: Path

    def properties(self, *, faults: bool = False) -> dict[str, str]:
        """Glance properties of the root disk, beside `kernel_id` and `ramdisk_id`.

        With `faults` the guest obeys drills that ask it to crash or to hang.
        """
        arguments = f"root=/dev/vda {KERNEL_ARGUMENTS}" + (f" {FAULT_ARGUMENT}" if faults else "")
        return {"os_command_line": arguments, "hw_disk_bus": "virtio", "hw_vif_model": "virtio"}


def find_sources(*roots: Path) -> GuestSources:
    """The newest cloud kernel with its modules, and busybox-static, below any of `roots`."""
    kernels = [found for root in roots for found in _kernels(root)]
    if not kernels:
        raise BuildError(_names(roots), "no kernel with its modules", next_step="unpack linux-image-cloud-amd64 there")
    kernel, modules_dir = max(kernels, key=lambda found: _version_key(found[0].name))
    boxes = [root / place / "busybox" for root in roots for place in ("usr/bin", "bin", "usr/sbin", "sbin")]
    for busybox in boxes:
        if busybox.is_file() and is_static(busybox.read_bytes()):
            return GuestSources(kernel, modules_dir, busybox)
    raise BuildError(_names(roots), "no static busybox", next_step="unpack busybox-static there")


def build(kernel: Path, modules_dir: Path, busybox: Path, out_dir: Path) -> GuestImage:
    """Builds the guest into a directory of `out_dir` named by its content, or finds it there."""
    if not is_static(busybox.read_bytes()):
        raise BuildError(str(busybox), "not a static program", next_step="use the one of busybox-static")
    contents = cpio.archive(_entries(ModuleTree(modules_dir), busybox))
    disk = root_disk()
    digest = hashlib.sha256()
    for part in (kernel.read_bytes(), contents, disk):
        digest.update(hashlib.sha256(part).digest())
    home = out_dir / f"guest-{digest.hexdigest()[:16]}"
    image = GuestImage(home / "vmlinuz", home / "initrd.gz", home / "disk.raw")
    if home.is_dir():
        return image
    out_dir.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".guest-", dir=out_dir))
    try:
        shutil.copyfile(kernel, fresh / image.kernel.name)
        (fresh / image.ramdisk.name).write_bytes(gzip.compress(contents, mtime=0))
        (fresh / image.disk.name).write_bytes(disk)
        fresh.chmod(0o755)
        _settle(fresh, home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return image


def root_disk() -> bytes:
    """The root disk: nothing but a line that says so, which also keeps the writer away from it."""
    return b"STOCKADE-ROOT 1\n".ljust(ROOT_DISK_MIB << 20, b"\0")


def is_static(program: bytes) -> bool:
    """Whether `program` is a 64-bit ELF executable that asks for no dynamic loader."""
    if program[:5] != b"\x7fELF\x02":
        return False
    (start,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    kinds = [struct.unpack_from("<I", program, start + size * index)[0] for index in range(count)]
    return 3 not in kinds  # PT_INTERP


def _entries(tree: ModuleTree, busybox: Path) -> Iterator[cpio.Entry]:
    yield from (cpio.directory(path) for path in (*_DIRECTORIES, *_WEB_DIRECTORIES))
    yield cpio.character_device("dev/console", 5, 1)
    yield cpio.regular("bin/busybox", busybox.read_bytes(), executable=True)
    yield from (cpio.symlink(f"bin/{applet}", "busybox") for applet in APPLETS)
    yield cpio.regular("sbin/udp-echo", udp_echo.program(), executable=True)
    scripts = resources.files("stockade.guest")
    for path, name in _SCRIPTS.items():
        yield cpio.regular(path, scripts.joinpath(name).read_bytes(), executable=True)
    seen: set[str] = set()
    for moment, names in _MODULES.items():
        fresh = {name: data for name, data in tree.in_load_order(names).items() if name not in seen}
        seen |= fresh.keys()
        yield cpio.regular(f"lib/modules/{moment}", "".join(f"{name}\n" for name in fresh).encode())
        for name, data in fresh.items():
            yield cpio.regular(f"lib/modules/{name}.ko", data)


def _kernels(root: Path) -> Iterator[tuple[Path, Path]]:
    for kernel in (root / "boot").glob("vmlinuz-*cloud-amd64"):
        version = kernel.name.removeprefix("vmlinuz-")
        for modules in (root / "usr/lib/modules" / version, root / "lib/modules" / version):
            if (modules / "kernel").is_dir():
                yield kernel, modules
                break


def _version_key(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _names(roots: tuple[Path, ...]) -> str:
    return ", ".join(str(root) for root in roots)


def _settle(fresh: Path, home: Path) -> None:
    """Moves the finished directory to its name; whoever else finished the same one first has won."""
    try:
        os.rename(fresh, home)  # noqa: PTH104 - Path.rename is the same, and hides that it is atomic
    except OSError:
        if not home.is_dir():
            raise
