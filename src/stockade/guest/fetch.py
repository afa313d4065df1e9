"""Getting the parts of the guest image from one of the cloud's own hosts, which has them from Debian."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

from stockade.errors import BuildError
from stockade.machines.base import Transport

TIMEOUT_S = 300
# Prints a tar in base64. Takes what is installed; on a host without the packages, downloads and unpacks them aside.
_SCRIPT = r"""
set -e
root=/
if ! ls /boot/vmlinuz-*-cloud-amd64 >/dev/null 2>&1 || ! [ -e /usr/bin/busybox ]; then
    root=/var/cache/stockade-guest
    if ! ls $root/boot/vmlinuz-* >/dev/null 2>&1; then
        mkdir -p $root/packages && cd $root/packages
        kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p')
        apt-get download "$kernel" busybox-static >&2
        for package in *.deb; do dpkg -x "$package" $root; done
        version=$(basename "$(ls -d $root/usr/lib/modules/* | head -n 1)")
        depmod -b $root "$version" || true
    fi
fi
cd $root
modules=usr/lib/modules; [ -d $modules ] || modules=lib/modules
tar -czf - boot/vmlinuz-*-cloud-amd64 usr/bin/busybox $modules/*/modules.dep $modules/*/modules.builtin \
    $(find $modules -name 'virtio*' -o -name '*failover*' -o -name 'i6300esb*' \
        -o -name 'button.ko*' -o -name 'evdev.ko*' -o -name 'watchdog.ko*') | base64
"""


async def fetch(transport: Transport, host: str, into: Path) -> Path:
    """Copy kernel, modules and busybox of `host` below `into`; returns `into`. Raises BuildError."""
    done = await transport.run(["sh", "-c", _SCRIPT], timeout_s=TIMEOUT_S)
    if not done.ok:
        raise BuildError(
            host,
            "has no kernel for the demo's guest",
            log=tuple(done.stderr.splitlines()[-5:]),
            next_step="apt-get install linux-image-cloud-amd64 busybox-static there, or give it a Debian mirror",
        )
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(done.stdout))) as archive:
        archive.extractall(into, filter="data")
    return into
