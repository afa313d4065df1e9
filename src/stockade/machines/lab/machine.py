"""One machine's power: what switching it on, stopping it and cutting it off do on this computer.

Whoever calls these holds the machine's lock (`Machine.lock`). They cope with whatever an earlier holder that
was killed half-way left behind: each looks at the kernel (groups, mounts, namespaces), never at notes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from stockade.errors import LabError
from stockade.lock import FileLock
from stockade.machines.lab import network
from stockade.machines.lab.cgroup import Group
from stockade.machines.lab.disk import Disk, device_node, unmount
from stockade.machines.lab.paths import NETNS
from stockade.machines.lab.run import environment, run
from stockade.machines.lab.spec import MachineSpec

LOCK_TIMEOUT_S = 60.0
"""The longest a holder works is a boot's preparation or a power cut, a second or two each."""
START_TIMEOUT_S = 60.0

DEVICES = ("net/tun", "fuse", "kvm", "vhost-net")
"""Devices a machine may use if this computer has them."""

_CAPABILITIES = "CAP_NET_ADMIN,CAP_IPC_LOCK"
"""Beyond nspawn's own set: networks are the machine's business, and memory locking is a database's."""
_DROPPED = "CAP_SYS_TIME,CAP_SYS_MODULE"
"""Clock and kernel are this computer's."""
_OFFSET_MAX_S = 30 * 86400


class Machine:
    """The machine described by `spec`, as processes, mounts and namespaces of this computer."""

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.state, self.run = spec.paths.machine_state(spec.host), spec.paths.machine_run(spec.host)
        self.disk = Disk(self.state / "disk.img", self.run / "disk")
        self.root = self.run / "root"
        self.watchdog, self.control = self.run / "watchdog", self.run / "control"
        self.group = Group(f"{spec.cloud}/{spec.host}")
        self.warden = Group(f"{spec.cloud}/{spec.host}.warden")

    def lock(self, *, timeout_s: float = LOCK_TIMEOUT_S) -> FileLock:
        """The lock to hold while changing this machine's power."""
        return FileLock(self.run / "lock", timeout_s=timeout_s)

    @property
    def is_off(self) -> bool:
        """True if no process of it is left and nothing is about to start it: the BMC's `Off`."""
        return not self.group.populated() and not self.warden.populated()

    @property
    def is_sound(self) -> bool:
        """True if it is on and its warden watches it."""
        return self.group.populated() and self.warden.populated()

    def power_on(self) -> bool:
        """Start it and return once its first process runs; False if it was on. Raises `LabError`."""
        lock = self.lock()
        lock.acquire()
        try:
            if self.is_sound:
                return False
            self.cut_power()
            self._spawn_warden(lock)
        finally:
            # The warden holds the lock through the file it inherited, and lets go of it when the machine runs.
            lock.leave()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with self.lock(timeout_s=START_TIMEOUT_S):
                if self.is_sound:
                    return True
            if self.warden.populated() and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            log = (self.state / "warden.log").read_text(errors="replace").strip().splitlines()[-5:]
            raise LabError(f"{self.spec.host} did not start: " + " / ".join(log or ["no output"]))

    def cut_power(self) -> None:
        """Take its power away: what it has not synced is lost, and nobody hears it go.

        Ports first, so that no FIN and no RST escapes; then everything in it is stopped where it stands; then its
        file system, without a flush. Only then is it all killed: a file system still in order would be written
        out when the last process using it goes.
        """
        network.drop_ports(self.spec)
        self.group.freeze()
        self.disk.cut_power((*self.warden.pids(), *self.group.all_pids()))
        self.warden.kill()
        self.group.kill()
        self.clean()

    def clean(self) -> None:
        """Take away what a machine without processes leaves: mounts, namespace, groups."""
        unmount(self.root)
        unmount(self.disk.mount)
        self.disk.wait_released()
        network.unplug(self.spec)
        self._clean_after_nspawn()
        self.group.remove()
        if not self.warden.populated():
            self.warden.remove()

    def prepare(self) -> None:
        """Make everything a boot needs: disk, root, devices, FIFOs, NICs. For the warden, in whose namespace it is."""
        self.disk.attach()
        self.root.mkdir(exist_ok=True)
        disk = self.disk.mount
        for name, text in self._wiring().items():
            (disk / "upper" / name).parent.mkdir(parents=True, exist_ok=True)
            (disk / "upper" / name).write_text(text)
        layers = f"lowerdir={self.spec.image},upperdir={disk}/upper,workdir={disk}/work"
        run(["mount", "-t", "overlay", "-o", layers, "overlay", str(self.root)])
        status = self.root.stat()
        (self.run / "nspawn-lock").write_text(f"inode-{status.st_dev}:{status.st_ino}")
        for fifo in (self.watchdog, self.control):
            fifo.unlink(missing_ok=True)
            os.mkfifo(fifo, 0o600)
        network.plug_in(self.spec, unplugged=self._unplugged())
        self.group.create()
        self.group.thaw()

    def command(self, devices: Iterable[tuple[str, Path]] = ()) -> list[str]:
        """The program that is the machine: systemd-nspawn, with a monotonic clock of its own.

        `devices` are names below /dev and the nodes to show there.
        """
        offset = str(3600 + secrets.randbelow(_OFFSET_MAX_S))
        argv = ["unshare", "--time", f"--monotonic={offset}", f"--boottime={offset}", "--fork", "--kill-child"]
        argv += ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot"]
        argv += [f"--machine={self.spec.cloud}-{self.spec.host}", f"--hostname={self.spec.host}"]
        # Not known to machined, not in a scope of systemd's: the lab's own group is what ends it.
        argv += ["--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+4", "--console=read-only"]
        argv += [
            f"--capability={_CAPABILITIES}",
            f"--drop-capability={_DROPPED}",
            "--rlimit=RLIMIT_NOFILE=1024:1048576",
        ]
        argv += [f"--network-namespace-path={self.spec.namespace_file}"]
        argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        argv += [f"--bind={node}:/dev/{name}" for name, node in devices]
        argv += [f"--bind={self.watchdog}:/dev/stockade-watchdog"]
        return argv

    def spawn(self, console: int) -> subprocess.Popen[bytes]:
        """Start the machine's program in the machine's group, its output going to `console`."""
        enter = 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"'
        return subprocess.Popen(
            ["sh", "-c", enter, "sh", str(self.group.path), *self.command(self._devices())],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            cwd="/",
            # Only /proc/sys/net is the machine's own; all of /sys and the rest of /proc/sys is this computer's.
            # A pure v2 tree inside, as on any Debian 13, whatever this computer has.
            env=environment(SYSTEMD_NSPAWN_API_VFS_WRITABLE="network", SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"),
        )

    def shut_down(self, *, restart: bool = False) -> None:
        """Ask its system to power off (or reboot) in good order; it does so in its own time, or never."""
        fd = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(fd, b"r" if restart else b"o")
        finally:
            os.close(fd)

    def wait_off(self, *, timeout_s: float) -> bool:
        """True once it is off; False if it still isn't after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not self.is_off:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def create_disk(self, files: dict[str, tuple[bytes, int]]) -> None:
        """Make its disk, holding `files` (path in the machine: content, mode) and nothing else."""
        content = self.state / "content"
        shutil.rmtree(content, ignore_errors=True)
        for directory in ("upper", "work", "dev"):
            (content / directory).mkdir(mode=0o755, parents=True)
        for name, (data, mode) in files.items():
            path = content / "upper" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(mode)
        (content / "upper" / "root").chmod(0o700)
        self.disk.create(self.spec.disk_size, content)
        shutil.rmtree(content)

    def _devices(self) -> list[tuple[str, Path]]:
        found = []
        for name in DEVICES:
            node = self.disk.mount / "dev" / name.replace("/", "-")
            if device_node(node, Path("/dev", name)):
                found.append((name, node))
        return found

    def _wiring(self) -> dict[str, str]:
        """Files that tell the system inside how its machine is wired, as it is at this boot."""
        return {
            "etc/ssh/sshd_config.d/20-stockade-machine.conf": f"ListenAddress {self.spec.ssh_address}\n",
            "etc/stockade-watchdog": f"{self.spec.watchdog_s:g}\n",
        }

    def _clean_after_nspawn(self) -> None:
        """Remove what systemd-nspawn keeps for a machine on this computer, and cannot remove when it is killed."""
        home, name = Path("/run/systemd/nspawn"), f"{self.spec.cloud}-{self.spec.host}"
        for directory in (home / "unix-export" / name, home / "propagate" / name):
            if directory.is_dir():
                directory.rmdir()
        note = self.run / "nspawn-lock"
        if note.exists():
            (home / "locks" / note.read_text()).unlink(missing_ok=True)
            note.unlink()

    def _unplugged(self) -> frozenset[str]:
        marks = self.spec.paths.run / "unplugged"
        return frozenset(p.name for p in marks.iterdir()) if marks.is_dir() else frozenset()

    def _spawn_warden(self, lock: FileLock) -> None:
        self.warden.create()
        enter = 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"'
        program = [sys.executable, "-P", "-m", "stockade.machines.lab.warden", str(self.spec.file), str(lock.fd)]
        # In the switch's namespace: a warden talks to nobody, and must not hold on to whatever network the
        # process that happens to start it is in.
        net = f"--net={NETNS / network.switch_name(self.spec.cloud)}"
        with (self.state / "warden.log").open("wb") as log:
            subprocess.run(
                [
                    "setsid",
                    "--fork",
                    "nsenter",
                    net,
                    "unshare",
                    "--mount",
                    "--propagation=unchanged",
                    "sh",
                    "-c",
                    enter,
                    "sh",
                    str(self.warden.path),
                    *program,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                pass_fds=(lock.fd,),
                check=True,
                timeout=START_TIMEOUT_S,
            )
