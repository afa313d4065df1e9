"""Facts of the hardware that settings depend on."""

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from . import shell

KERNELS = Path("/boot")
QEMU = "qemu-system-x86_64"
KVM_ANSWER = Path("/run/stockade/kvm")
PROBE_S = 60
"""A kernel under KVM is at its panic in about 2 s, on a busy host in some more."""
STOPPED = b"KVM internal error"
"""What QEMU says, and then waits for ever, when an instruction of the guest cannot be carried out."""


def describe(*, guests: bool) -> dict[str, Any]:
    """Cores, memory, and what of the kernel's datapath and, where `guests` will run, of virtualisation works here."""
    return {
        "cores": os.cpu_count() or 1,
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20),
        "kvm": guests and kvm_works(),
        "openvswitch_module": Path("/sys/module/openvswitch").exists() or _loadable("openvswitch"),
        "interfaces": interfaces(),
    }


def interfaces() -> dict[str, str]:
    """NIC by each IPv4 address that belongs to it for good (a VIP's prefix makes it secondary, so it is left out)."""
    links = json.loads(shell.run(["ip", "-json", "-4", "address", "show"]))
    return {
        entry["local"]: link["ifname"] for link in links for entry in link["addr_info"] if not entry.get("secondary")
    }


def kvm_works() -> bool:
    """True if a hardware-accelerated Linux really runs here; asked once per boot.

    /dev/kvm may exist, and a virtual CPU be made, where the first wide instruction of a kernel stops the guest.
    """
    if not Path("/dev/kvm").exists():
        return False
    if not shutil.which(QEMU) or not list(KERNELS.glob("vmlinuz-*")):
        # Before the packages are there nothing can be tried; not kept, so the next run asks again.
        return True
    if not KVM_ANSWER.exists():
        KVM_ANSWER.parent.mkdir(parents=True, exist_ok=True)
        KVM_ANSWER.write_text("yes" if _kernel_runs() else "no")
    return KVM_ANSWER.read_text() == "yes"


def _kernel_runs() -> bool:
    """Boot a kernel of this host without a root file system: it must get as far as its panic, which ends QEMU."""
    kernel = min(KERNELS.glob("vmlinuz-*"))
    command = [QEMU, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-no-reboot",
               "-display", "none", "-serial", "stdio", "-kernel", str(kernel),
               "-append", "console=ttyS0 panic=-1"]  # fmt: skip
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return False
    with process:
        try:
            return _first_of(process, b"Kernel panic", STOPPED, timeout_s=PROBE_S) == b"Kernel panic"
        finally:
            process.kill()


def _first_of(process: subprocess.Popen[bytes], *words: bytes, timeout_s: float) -> bytes:
    """Which of `words` the process prints; nothing if it ends or `timeout_s` are over before."""
    assert process.stdout
    deadline, heard = time.monotonic() + timeout_s, b""
    while not (found := next((word for word in words if word in heard), b"")):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            break
        if not (chunk := os.read(process.stdout.fileno(), 65536)):
            break
        heard += chunk
    return found


def _loadable(module: str) -> bool:
    try:
        return (
            subprocess.run(["modprobe", "--dry-run", module], capture_output=True, timeout=10, check=False).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
