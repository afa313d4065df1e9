"""`Machines` made on this computer."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from stockade.cloud.model import Cloud, Host, Plane
from stockade.errors import LabError
from stockade.files import write_whole
from stockade.lock import FileLock
from stockade.machines.base import Bmc, Progress, Switchboard, Transport
from stockade.machines.common import answer, bmc_address, gather_all
from stockade.machines.lab import bmc, host, image, keys, netns, network
from stockade.machines.lab.cgroup import Group
from stockade.machines.lab.machine import Machine
from stockade.machines.lab.paths import LabPaths
from stockade.machines.lab.run import interrupt
from stockade.machines.lab.spec import DEFAULT_DISK, DEFAULT_WATCHDOG_S, MachineSpec, Port, load_all
from stockade.machines.lab.switchboard import LabSwitchboard
from stockade.machines.redfish import RedfishBmc
from stockade.machines.ssh import SshTransport

T = TypeVar("T")

BOOT_TIMEOUT_S = 120.0
"""A machine answers SSH a few seconds after its power comes on; five at once on loaded cores take longer."""
SHUTDOWN_TIMEOUT_S = 100.0
"""A warden cuts a machine off that does not shut down in its own, shorter, time."""
LOCK_TIMEOUT_S = 3600.0
"""One `up` or `down` of a lab at a time; the other may be building an image over a slow network."""
WORKERS = 8


class LabMachines:
    """The machines of one cloud, on this computer."""

    def __init__(self, cloud: Cloud, *, disk_size: str = DEFAULT_DISK, watchdog_s: float = DEFAULT_WATCHDOG_S) -> None:
        self.cloud, self.disk_size, self.watchdog_s = cloud, disk_size, watchdog_s
        self.paths = LabPaths(cloud.name)
        self._transports: dict[str, SshTransport] = {}
        self._bmcs: dict[str, RedfishBmc] = {}

    async def up(self, progress: Progress) -> int:
        """Make every machine of the cloud exist, be on and answer SSH; return how many were changed.

        Raises LabError if the cloud of this name is one of servers.
        """
        self._refuse_servers()
        # Threads of its own, ended before it returns: a thread keeps the network namespace it was started in.
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="lab-up") as pool:
            lock = self._lock()
            await _in(pool, lock.acquire)
            try:
                return await self._up(pool, progress)
            except asyncio.CancelledError:
                interrupt()
                raise
            finally:
                lock.release()

    def attach(self) -> None:
        """Move this process onto the operator's network. Call it before threads are started: they stay behind."""
        netns.attach(network.operator_name(self.cloud.name))

    def transport(self, host: Host) -> Transport:
        """The shell of `host`; it works whether this process is attached or not."""
        if host.name not in self._transports:
            dial = functools.partial(netns.stream_socket, network.operator_name(self.cloud.name))
            self._transports[host.name] = SshTransport(host.name, host.ssh, dial=dial)
        return self._transports[host.name]

    def bmc(self, host: Host) -> Bmc:
        """The BMC of `host`; this process must be attached."""
        if host.name not in self._bmcs:
            self._bmcs[host.name] = RedfishBmc(host.name, bmc_address(host))
        return self._bmcs[host.name]

    def switchboard(self) -> Switchboard:
        """The lab's cables and processes."""
        return LabSwitchboard(self.cloud.name)

    async def down(self, *, purge: bool, progress: Progress) -> None:
        """Stop all machines, also those no longer in the file; with `purge`, leave nothing of the lab.

        Raises LabError if the cloud of this name is one of servers.
        """
        self._refuse_servers()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="lab-down") as pool:
            lock = self._lock()
            await _in(pool, lock.acquire)
            try:
                await self._down(pool, purge=purge, progress=progress)
                if purge:
                    await _in(pool, self._purge)
            finally:
                lock.release()

    async def close(self) -> None:
        """End all sessions."""
        for transport in self._transports.values():
            await transport.close()
        for client in self._bmcs.values():
            await client.close()

    async def _up(self, pool: ThreadPoolExecutor, progress: Progress) -> int:
        loop = asyncio.get_running_loop()

        def say(line: str) -> None:
            loop.call_soon_threadsafe(progress.doing, "", line)

        await _in(pool, host.ensure, say)
        golden: Path | None = None
        if self._needs_image():
            progress.phase("golden image", 1)
            golden = await _in(pool, image.ensure, say)
            progress.advance()
            progress.doing("", "")
        await _in(pool, self._ensure_common)
        progress.phase("machines", len(self.cloud.hosts))
        ports = self._ports()

        async def one(wanted: Host) -> int:
            progress.doing(wanted.name, "making it")
            changed = await _in(pool, self._ensure_machine, wanted, golden, ports[wanted.name])
            progress.doing(wanted.name, "booting")
            await answer(self.transport(wanted), timeout_s=BOOT_TIMEOUT_S)
            progress.doing(wanted.name, "")
            progress.advance()
            return changed

        changed = await gather_all(one(wanted) for wanted in self.cloud.hosts)
        known = load_all(self.cloud.name)
        await _in(pool, bmc.ensure_server, self.cloud.name, known)
        for name in known.keys() - {h.name for h in self.cloud.hosts}:
            progress.doing(name, "not in the cloud file; left as it is")
        return sum(changed)

    def _needs_image(self) -> bool:
        """True unless every machine is made and has its image: a newer recipe is for machines to come."""
        known = load_all(self.cloud.name)
        return any(h.name not in known or not Path(known[h.name].image).is_dir() for h in self.cloud.hosts)

    def _ensure_common(self) -> None:
        """Keys, passwords and networks: what machines share."""
        known = load_all(self.cloud.name)
        keys.ensure_ssh_key(self.paths.ssh / "id_ed25519", f"stockade-{self.cloud.name}")
        entries = []
        for name in sorted(known.keys() | {h.name for h in self.cloud.hosts}):
            public = keys.ensure_ssh_key(self.paths.ssh / "hosts" / name, name)
            addresses = {spec.ssh_address for spec in known.values() if spec.host == name}
            addresses |= {h.ssh.address for h in self.cloud.hosts if h.name == name}
            entries += [(address, public) for address in sorted(addresses)]
            keys.ensure_password(self.paths.bmc / f"{name}.password")
        write_whole(self.paths.ssh / "known_hosts", keys.known_hosts(entries), 0o600)
        served = {spec.bmc_address for spec in known.values() if spec.bmc_address}
        network.ensure(network.plan(self.cloud, served))

    def _ensure_machine(self, wanted: Host, golden: Path | None, ports: tuple[Port, ...]) -> int:
        out_of_band = wanted.addresses.get(Plane.OUT_OF_BAND)
        spec = MachineSpec(
            cloud=self.cloud.name,
            host=wanted.name,
            serial=wanted.bmc.serial if wanted.bmc and wanted.bmc.serial else f"{self.cloud.name}-{wanted.name}",
            image=str(golden),
            ports=ports,
            ssh_address=wanted.ssh.address,
            bmc_address=str(out_of_band) if out_of_band else None,
            disk_size=self.disk_size,
            watchdog_s=self.watchdog_s,
        )
        machine = Machine(spec)
        if not spec.file.exists():
            with machine.lock():
                machine.create_disk(self._first_files(wanted))
                spec.save()
        elif machine.is_off:
            # What is soldered stays (image, disk); what is cabled may change while the power is off.
            made = MachineSpec.load(spec.file)
            if not Path(made.image).is_dir():
                raise LabError(
                    f"{wanted.name} was made on the image {made.image}, which is gone\n  next: stockade down --purge"
                )
            machine = Machine(replace(spec, image=made.image, disk_size=made.disk_size))
            machine.spec.save()
        else:
            machine = Machine(MachineSpec.load(spec.file))
        return int(machine.power_on())

    def _ports(self) -> dict[str, tuple[Port, ...]]:
        """The cables of every host; a machine keeps the out-of-band address it was given."""
        bridge = network.BRIDGES[Plane.OUT_OF_BAND]
        given = {
            name: {port.address.partition("/")[0] for port in spec.ports if port.bridge == bridge and port.address}
            for name, spec in load_all(self.cloud.name).items()
        }
        found: dict[str, tuple[Port, ...]] = {}
        for wanted in self.cloud.hosts:
            others = {address for name, addresses in given.items() if name != wanted.name for address in addresses}
            found[wanted.name] = network.ports(self.cloud, wanted, others, prefer=given.get(wanted.name, ()))
            given[wanted.name] = {
                p.address.partition("/")[0] for p in found[wanted.name] if p.bridge == bridge and p.address
            }
        return found

    def _first_files(self, wanted: Host) -> dict[str, tuple[bytes, int]]:
        """What a machine's disk holds before its first boot: who it is, and who may log in."""
        host_key = self.paths.ssh / "hosts" / wanted.name
        operator = (self.paths.ssh / "id_ed25519.pub").read_bytes()
        names = f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{wanted.ssh.address} {wanted.name}\n"
        return {
            "etc/hostname": (f"{wanted.name}\n".encode(), 0o644),
            "etc/hosts": (names.encode(), 0o644),
            "etc/machine-id": (f"{uuid.uuid4().hex}\n".encode(), 0o444),
            "etc/ssh/ssh_host_ed25519_key": (host_key.read_bytes(), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (host_key.with_name(f"{wanted.name}.pub").read_bytes(), 0o644),
            "root/.ssh/authorized_keys": (operator, 0o600),
        }

    async def _down(self, pool: ThreadPoolExecutor, *, purge: bool, progress: Progress) -> None:
        machines = [Machine(spec) for spec in load_all(self.cloud.name).values()]
        progress.phase("machines", len(machines))
        await _in(pool, bmc.stop_server, self.cloud.name)

        async def one(machine: Machine) -> None:
            progress.doing(machine.spec.host, "cutting its power" if purge else "shutting down")
            await _in(pool, stop, machine, not purge)
            progress.doing(machine.spec.host, "")
            progress.advance()

        await gather_all(one(machine) for machine in machines)
        await _in(pool, self._remove_runtime)

    def _remove_runtime(self) -> None:
        network.remove(self.cloud.name)
        group = Group(self.cloud.name)
        group.kill()  # deadmen still at work
        group.remove()
        for leftover in ("faults", "unplugged"):
            shutil.rmtree(self.paths.run / leftover, ignore_errors=True)

    def _refuse_servers(self) -> None:
        # A copy of a cloud file with `machines: lab` in it must neither use nor delete the secrets of the original.
        if (self.paths.state / "secrets.json").exists() and not self.paths.lab.exists():
            raise LabError(
                f"{self.paths.state} holds the secrets of a cloud that was not built on lab machines\n"
                "  next: give the lab's cloud file another `name`"
            )

    def _purge(self) -> None:
        # With the machines gone, the secrets, certificates and keys of their cloud are of no use to anyone.
        for directory in (self.paths.state, self.paths.run):
            shutil.rmtree(directory, ignore_errors=True)
        image.discard_unused()
        host.restore()

    def _lock(self) -> FileLock:
        if os.geteuid() != 0:
            raise LabError("lab machines need root\n  next: run this as root, or with sudo")
        return FileLock(self.paths.run / "lock", timeout_s=LOCK_TIMEOUT_S)


def stop(machine: Machine, in_good_order: bool) -> None:  # noqa: FBT001  called through an executor
    """Switch `machine` off, asking its system first if `in_good_order`, and clean up after it."""
    if in_good_order and machine.is_sound:
        machine.shut_down()
        machine.wait_off(timeout_s=SHUTDOWN_TIMEOUT_S)
    with machine.lock():
        machine.cut_power()


async def _in(pool: ThreadPoolExecutor, do: Callable[..., T], *args: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, functools.partial(do, *args))
