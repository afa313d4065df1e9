"""The parts of the lab that are values: its network, image recipe, machine descriptions, watchdog, fault rules."""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

import sample

import stockade.machines
from stockade.cloud.model import Cloud, Plane
from stockade.errors import LabError, StockadeError
from stockade.lock import FileLock
from stockade.machines.lab import cgroup, faults, image, keys, network, spec
from stockade.machines.lab.faults import Cut, Direction
from stockade.machines.lab.machine import Machine
from stockade.machines.lab.spec import MachineSpec, Port
from stockade.machines.lab.warden import Watchdog


def described(cloud: Cloud, name: str = "ctl1") -> MachineSpec:
    host = cloud.host(name)
    return MachineSpec(
        cloud.name,
        name,
        f"{cloud.name}-{name}",
        "/images/x",
        network.ports(cloud, host),
        host.ssh.address,
        str(host.addresses[Plane.OUT_OF_BAND]),
    )


class TestNetwork:
    def test_operator_has_the_first_address_of_every_plane(self) -> None:
        legs = network.plan(sample.cloud()).legs
        operator = {leg.nic: leg.addresses for leg in legs if leg.namespace == "lab-op"}
        assert operator == {
            "mgmt0": ("10.77.0.1/24",),
            "stor0": ("10.77.1.1/24",),
            "tenant0": ("10.77.2.1/24",),
            "ext0": ("10.77.3.1/24",),
            "oob0": ("10.77.4.1/24",),
        }

    def test_operator_is_the_gateway_where_there_is_one(self) -> None:
        cloud = sample.cloud()
        external = replace(cloud.networks[Plane.EXTERNAL], gateway=IPv4Address("10.77.3.254"))
        plan = network.plan(replace(cloud, networks={**cloud.networks, Plane.EXTERNAL: external}))
        assert [leg.addresses for leg in plan.legs if leg.switch_port == "op-ext"] == [("10.77.3.254/24",)]

    def test_bmcs_share_one_cable_also_those_of_dropped_hosts(self) -> None:
        plan = network.plan(sample.cloud(hosts={"a": 11, "b": 31}), ["10.77.4.99"])
        (leg,) = [leg for leg in plan.legs if leg.namespace == "lab-bmc"]
        assert leg.addresses == ("10.77.4.11/24", "10.77.4.31/24", "10.77.4.99/24")

    def test_cables_of_a_controller_and_of_a_compute(self) -> None:
        cloud = sample.cloud()
        controller = {(p.nic, p.bridge, p.address) for p in network.ports(cloud, cloud.host("ctl1"))}
        assert controller == {
            ("mgmt0", "mgmt", "10.77.0.11/24"),
            ("stor0", "stor", "10.77.1.11/24"),
            ("tenant0", "tenant", "10.77.2.11/24"),
            ("ext0", "ext", None),
            ("pub0", "ext", "10.77.3.11/24"),
            ("oob0", "oob", "10.77.4.254/24"),
        }
        assert "oob0" not in {p.nic for p in network.ports(cloud, cloud.host("cmp1"))}

    def test_out_of_band_addresses_are_not_given_twice_and_kept(self) -> None:
        cloud = sample.cloud()
        (second,) = [p for p in network.ports(cloud, cloud.host("ctl2"), ["10.77.4.254"]) if p.nic == "oob0"]
        assert second.address == "10.77.4.253/24"
        ports = network.ports(cloud, cloud.host("ctl2"), ["10.77.4.254"], prefer=["10.77.4.200"])
        assert [p.address for p in ports if p.nic == "oob0"] == ["10.77.4.200/24"]

    def test_host_without_an_address_on_a_plane(self) -> None:
        cloud = sample.cloud()
        host = cloud.host("cmp1")
        bare = replace(host, addresses={Plane.MANAGEMENT: host.management}, nics={Plane.EXTERNAL: "ext0"})
        assert [(p.nic, p.address) for p in network.ports(cloud, bare)] == [("mgmt0", "10.77.0.31/24"), ("ext0", None)]

    def test_names_fit_the_kernel_and_are_unique(self) -> None:
        names = {f"a-rather-long-host-name-{n}": n for n in range(11, 41)}
        cloud = sample.cloud(hosts=names)
        ports = [p for host in cloud.hosts for p in network.ports(cloud, host)]
        assert all(len(p.switch_port) <= 15 for p in ports)
        assert len({p.switch_port for p in ports}) == len(ports) == len({p.mac for p in ports})

    def test_an_address_of_the_operator_cannot_be_a_hosts(self) -> None:
        with pytest.raises(LabError, match=r"10\.77\.0\.1 belongs to one"):
            network.plan(sample.cloud(hosts={"one": 1}))

    def test_bridges_forward_at_once(self) -> None:
        assert network.bridge_commands(("mgmt",)) == [
            "link add mgmt type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            "link set mgmt up",
        ]
        assert network.bridge_commands(()) == []

    def test_mtu_of_the_plane_is_on_both_ends(self) -> None:
        cable = Port("st-one", "stor0", "stor", "02:00:00:00:00:01", None, checksums=True, mtu=9000)
        assert (
            network.veth_command(cable, "netns x")
            == "link add st-one mtu 9000 type veth peer name stor0 mtu 9000 netns x"
        )


class TestDescription:
    def test_saved_and_loaded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stockade.machines.lab.paths.STATE_ROOT", tmp_path)
        made = described(sample.cloud())
        made.save()
        assert spec.load_all("lab") == {"ctl1": made}

    def test_program_keeps_clock_and_kernel_to_this_computer(self) -> None:
        argv = Machine(described(sample.cloud())).command()
        assert "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE" in argv
        assert "--network-namespace-path=/run/netns/lab-ctl1" in argv
        assert argv[argv.index("unshare") + 1] == "--time"

    def test_each_boot_has_a_clock_of_its_own(self) -> None:
        machine = Machine(described(sample.cloud()))
        offsets = {part for _ in range(20) for part in machine.command() if part.startswith("--monotonic=")}
        assert len(offsets) == 20


class TestImage:
    def test_digest_changes_with_everything_that_goes_in(self) -> None:
        recipe = image.recipe()
        others = [replace(recipe, packages=("a",)), replace(recipe, debconf=""), replace(recipe, finish="")]
        assert len({r.digest for r in (recipe, *others)}) == 4

    def test_package_list(self) -> None:
        packages = image.recipe().packages
        assert {"openssh-server", "mariadb-server", "nova-compute-qemu", "fence-agents-redfish"} <= set(packages)
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package) for package in packages)

    def test_command_without_mirror_settings_leaves_it_to_mmdebstrap(self) -> None:
        argv = image.command(image.recipe(), Path("/t"), Path("/h"), None)
        assert argv[-2:] == ["trixie", "/t"]
        assert image.command(image.recipe(), Path("/t"), Path("/h"), Path("/h/s"))[-1] == "/h/s"

    def test_no_registry_is_named_in_the_source(self) -> None:
        for path in Path(stockade.machines.__file__).parent.rglob("*"):
            if path.suffix in (".py", ".sh", ".txt"):
                assert not re.search(r"deb\.debian|security\.debian|ftp\.", path.read_text()), path


class TestWatchdog:
    def test_unarmed_until_the_first_write(self) -> None:
        watchdog = Watchdog(10)
        assert not watchdog.starved(1e9)
        watchdog.written(b".", 100)
        assert not watchdog.starved(109.9)
        assert watchdog.starved(110)

    def test_feeding_moves_the_deadline_and_v_disarms(self) -> None:
        watchdog = Watchdog(10)
        watchdog.written(b".", 100)
        watchdog.written(b"..", 109)
        assert not watchdog.starved(118)
        watchdog.written(b".V", 118)
        assert not watchdog.starved(1e9)
        watchdog.written(b"V.", 200)
        assert watchdog.starved(210)


class TestFaultRules:
    def test_direction_decides_which_frames_are_dropped(self) -> None:
        match = [('iifname "st-a"', 'oifname "st-a"')]

        def chains(direction: Direction) -> list[str]:
            return [rule.split()[4] for rule in faults.drop_rules(Cut("a", Plane.STORAGE, direction), match)]

        assert chains(Direction.BOTH) == ["into", "out"]
        assert chains(Direction.FROM) == ["into"]
        assert chains(Direction.TO) == ["out"]

    def test_loss_is_a_share_of_the_frames(self) -> None:
        (rule,) = faults.drop_rules(Cut("a", Plane.STORAGE, Direction.TO, 30), [("x", 'oifname "st-a"')])
        assert 'oifname "st-a" numgen random mod 100 < 30 counter drop' in rule

    def test_partition_is_both_ways(self) -> None:
        assert [rule.split("counter")[0] for rule in faults.pair_rules("p", "q", "n")] == [
            'add rule bridge faults between iifname "p" oifname "q" ',
            'add rule bridge faults between iifname "q" oifname "p" ',
        ]


class TestKeys:
    def test_key_is_made_once_and_private(self, tmp_path: Path) -> None:
        first = keys.ensure_ssh_key(tmp_path / "k", "me")
        assert first.startswith("ssh-ed25519 ")
        assert first.endswith(" me")
        assert keys.ensure_ssh_key(tmp_path / "k", "me") == first
        assert (tmp_path / "k").stat().st_mode & 0o077 == 0

    def test_known_hosts_pins_address_and_key(self) -> None:
        assert keys.known_hosts([("10.0.0.1", "ssh-ed25519 AAAA one")]) == "10.0.0.1 ssh-ed25519 AAAA\n"

    def test_certificate_is_renewed_only_for_other_addresses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stockade.machines.lab.paths.STATE_ROOT", tmp_path)
        paths = described(sample.cloud()).paths
        assert keys.ensure_certificates(paths, ["10.0.0.2", "10.0.0.1"])
        assert not keys.ensure_certificates(paths, ["10.0.0.1", "10.0.0.2"])
        assert keys.ensure_certificates(paths, ["10.0.0.1"])
        assert (paths.bmc / "server.pem").stat().st_mode & 0o077 == 0

    def test_password_is_made_once_and_private(self, tmp_path: Path) -> None:
        file = tmp_path / "p"
        keys.ensure_password(file)
        first = file.read_text()
        keys.ensure_password(file)
        assert file.read_text() == first
        assert file.stat().st_mode & 0o077 == 0


class TestLock:
    def test_bound_and_release(self, tmp_path: Path) -> None:
        with FileLock(tmp_path / "l", timeout_s=1), pytest.raises(StockadeError, match="still locked"):
            FileLock(tmp_path / "l", timeout_s=0).acquire()
        FileLock(tmp_path / "l", timeout_s=0).acquire()


def test_a_group_is_made_although_another_lab_goes_and_takes_the_empty_top_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "mount_point", lambda: tmp_path)
    stop = threading.Event()
    neighbour = cgroup.Group("other")

    def come_and_go() -> None:
        while not stop.is_set():
            neighbour.remove()

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        group = cgroup.Group("lab/one")
        for _ in range(500):
            group.create()
            group.path.rmdir()
            group.path.parent.rmdir()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("others", [False, True])
def test_with_the_last_image_its_place_goes_too_unless_others_use_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    images = tmp_path / "stockade" / "images"
    (images / "abc").mkdir(parents=True)
    if others:
        (tmp_path / "stockade" / "theirs").touch()
    monkeypatch.setattr(image, "IMAGES", images)
    monkeypatch.setattr(image, "STATE_ROOT", tmp_path / "state")
    image.discard_unused()
    assert (tmp_path / "stockade").exists() is others
    assert not images.exists()
