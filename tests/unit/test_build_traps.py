"""The packages' traps, each with what the build does about it; docs/traps.md is the table of them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from build_world import CLOUDS, context, files_of, options, rendered, units_of

from stockade.build.apply import PRESEED
from stockade.build.hostside import packages, shell
from stockade.build.model import Bundle, Start
from stockade.build.secrets import Secrets
from stockade.build.services import SERVICES
from stockade.build.uwsgi import dropin_path, unit_path
from stockade.cloud.model import Host, Role

PAGE = Path(__file__).parents[2] / "docs" / "traps.md"
OURS = re.compile(r"^(keystone|glance|placement|nova|neutron|cinder)(-|$)")
"""Units of OpenStack daemons."""


def hosts(role: Role | None = None) -> Iterator[tuple[str, Host, Bundle]]:
    """Every host of the packaged clouds, or those with a role."""
    for cloud, value in CLOUDS.items():
        for host in value.hosts:
            if role is None or role in host.roles:
                yield cloud, host, rendered(cloud)[host.name]


def ini_files(bundle: Bundle) -> dict[str, dict[tuple[str, str], str]]:
    """Options of each oslo.config file."""
    return {
        path: {place: value for place, (value, _comment) in options(file.content).items()}
        for path, file in files_of(bundle).items()
        if re.match(r"/etc/(keystone|glance|placement|nova|neutron|cinder)/", path) and path.endswith((".conf", ".ini"))
    }


def service_settings(text: str) -> dict[str, list[str]]:
    """Lines of a unit file as option -> values."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            option, _, value = line.partition("=")
            found.setdefault(option, []).append(value)
    return found


def installed(bundle: Bundle) -> set[str]:
    return {name for stage in bundle.stages for name in stage.packages}


def test_01_neutrons_periodic_workers_are_installed_and_have_a_unit_of_their_own() -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        assert "neutron-periodic-workers" in installed(bundle)
        assert units_of(bundle)["neutron-periodic-workers"].start is Start.BOOT
        unit = service_settings(files_of(bundle)[unit_path("neutron-periodic-workers")].content)
        assert unit["ExecStart"][0].startswith("/usr/bin/neutron-periodic-workers --config-file")
        assert unit["WantedBy"] == ["multi-user.target"]


def test_02_no_tunnel_ends_at_loopback() -> None:
    for cloud, host, bundle in hosts():
        for path, found in ini_files(bundle).items():
            assert found.get(("ovs", "local_ip"), "").startswith("127.") is False, path
        agent = ini_files(bundle)["/etc/neutron/plugins/ml2/openvswitch_agent.ini"]
        if cloud == "servers":
            assert agent["ovs", "local_ip"] == str(host.tenant)
        else:
            assert ("ovs", "local_ip") not in agent, "VLANs have no tunnels"
    assert re.search(r"overlay-int-ip-address string *$", PRESEED, re.MULTILINE)


def test_04_the_erlang_cookie_is_one_that_debian_keeps() -> None:
    for _each in range(50):
        cookie = Secrets().password("rabbit.cookie")
        assert not re.fullmatch(r"[A-Z]{20}", cookie)
        assert len(cookie) >= 32
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        file = files_of(bundle)["/var/lib/rabbitmq/.erlang.cookie"]
        assert (file.owner, file.mode) == ("rabbitmq", 0o400)


def test_05_a_database_member_that_failed_to_join_is_started_again_by_the_agent() -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        assert units_of(bundle)["mariadb"].start is Start.AGENT
        assert "StartLimitIntervalSec=0" in files_of(bundle)[dropin_path("mariadb")].content
        assert units_of(bundle)["stockade-agent"].start is Start.BOOT
        agent = service_settings(files_of(bundle)[unit_path("stockade-agent")].content)
        assert agent["Restart"] == ["always"]


@pytest.mark.parametrize("name", ["keepalived", "haproxy", "memcached", "etcd", "rabbitmq-server", "ceph-mon@"])
def test_06_a_daemon_that_dies_is_started_again(name: str) -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        dropin = service_settings(files_of(bundle)[dropin_path(name)].content)
        assert dropin["Restart"] == ["always"]
        assert dropin["StartLimitIntervalSec"] == ["0"], "systemd would give up after five tries"


def test_07_nothing_of_the_packages_own_defaults_is_left() -> None:
    for _cloud, _host, bundle in hosts():
        for path, found in ini_files(bundle).items():
            for (section, option), value in found.items():
                if option == "connection":
                    assert value.startswith("mysql+pymysql://"), f"{path} [{section}]"
                assert "policy.json" not in value
            assert found.get(("spice", "enabled"), "false") == "false"
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        files = ini_files(bundle)
        assert files["/etc/glance/glance-api.conf"]["paste_deploy", "flavor"] == "keystone"
        assert files["/etc/nova/nova.conf"]["placement", "username"] == "placement"
        assert files["/etc/cinder/cinder.conf"]["DEFAULT", "enabled_backends"] == "rbd"


def test_08_whoever_uses_the_queue_manager_has_a_lock_path_that_exists() -> None:
    users = set()
    for _cloud, _host, bundle in hosts():
        directories = {each.path: each for stage in bundle.stages for each in stage.directories}
        for path, found in ini_files(bundle).items():
            if found.get(("oslo_messaging_rabbit", "use_queue_manager")) == "true":
                place = directories[found["oslo_concurrency", "lock_path"]]
                assert place.owner == path.split("/")[2], "its daemon cannot write there"
                users.add(place.owner)
    assert users == {"keystone", "glance", "nova", "neutron", "cinder"}


def test_09_no_two_daemons_of_a_host_share_a_queue_managers_name() -> None:
    for _cloud, _host, bundle in hosts():
        names = [
            line.partition("PROCESSNAME=")[2]
            for path, file in files_of(bundle).items()
            if path.endswith(".service")
            for line in file.content.splitlines()
            if "OS_OSLO_MESSAGING_RABBIT__PROCESSNAME=" in line
        ]
        assert len(names) == len(set(names))
        assert set(names) == {name for name in units_of(bundle) if OURS.match(name)}


def test_11_the_address_of_a_host_is_never_guessed() -> None:
    for _cloud, host, bundle in hosts():
        for path in ("/etc/nova/nova.conf", "/etc/cinder/cinder.conf"):
            if path in files_of(bundle):
                assert ini_files(bundle)[path]["DEFAULT", "my_ip"] == str(host.management)


def test_12_conntrackd_is_installed_for_the_routers_and_its_own_daemon_never_runs() -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        assert "conntrackd" in installed(bundle)
        assert "conntrackd" in bundle.masked
        assert ini_files(bundle)["/etc/neutron/l3_agent.ini"]["DEFAULT", "ha_conntrackd_enabled"] == "true"


@pytest.mark.parametrize(
    "name", ["neutron-dhcp-agent", "neutron-metadata-agent", "neutron-l3-agent", "neutron-openvswitch-agent"]
)
def test_13_what_an_agent_started_lives_on_while_the_agent_restarts(name: str) -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        assert service_settings(files_of(bundle)[unit_path(name)].content)["KillMode"] == ["process"]


@pytest.mark.parametrize("fails", [False, True])
def test_14_packages_start_no_daemon_while_they_are_installed(
    fails: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = tmp_path / "policy-rc.d"
    seen = []

    def run(argv: list[str], **_options: object) -> str:
        if argv[:2] == ["apt-get", "install"]:
            seen.append((policy.read_text().splitlines()[-1], policy.stat().st_mode & 0o777))
            if fails:
                raise RuntimeError("no such package")
        return ""

    monkeypatch.setattr(packages, "POLICY", policy)
    monkeypatch.setattr(shell, "run", run)
    try:
        packages.install(["keystone"], "")
    except RuntimeError:
        assert fails
    assert seen == [("exit 101", 0o755)]
    assert not policy.exists(), "the host could start nothing by itself any more"


def test_14_a_policy_of_the_host_itself_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    monkeypatch.setattr(packages, "POLICY", policy)
    monkeypatch.setattr(shell, "run", lambda *_arguments, **_options: "")
    packages.install(["keystone"], "")
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_15_consoles_are_novnc() -> None:
    assert "nova-consoleproxy nova-consoleproxy/daemon_type select novnc" in PRESEED
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        assert "nova-novncproxy" in units_of(bundle)
        assert {"novnc", "nova-consoleproxy"} <= installed(bundle)
        assert {"nova-spicehtml5proxy", "nova-serialproxy"} <= set(bundle.masked)


def test_16_error_1020_is_switched_off() -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        found = options(files_of(bundle)["/etc/mysql/mariadb.conf.d/99-stockade.cnf"].content)
        assert found["mysqld", "innodb_snapshot_isolation"][0] == "OFF"


def test_17_each_back_end_is_probed_at_an_address_it_answers() -> None:
    checks = {each.name: each.check for service in SERVICES for each in service.backends}
    assert checks["placement"] == "/", "it has no /healthcheck"
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        text = files_of(bundle)["/etc/haproxy/haproxy.cfg"].content
        for name, check in checks.items():
            block = text.partition(f"\nbackend {name}\n")[2].partition("\nfrontend")[0]
            assert f"http-check send meth GET uri {check}\n" in block


@pytest.mark.parametrize(
    ("package", "faulty"),
    [("python3-oslo.db", "17.2.1-2"), ("python3-oslo.messaging", "16.1.0-3")],
)
def test_18_known_faulty_versions_do_not_count_as_installed(
    package: str, faulty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _cloud, _host, bundle in hosts(Role.CONTROLLER):
        (wanted,) = [name for name in installed(bundle) if name.startswith(f"{package}>=")]
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    query = tmp_path / "dpkg-query"
    for version, counts in ((faulty, False), (f"{faulty}+deb13u1", True), (f"{faulty}+deb13u2", True)):
        query.write_text(f"#!/bin/sh\necho '{package}\tinstalled\t{version}'\n")
        query.chmod(0o755)
        assert (wanted in packages.versions([wanted])) is counts


def test_18_a_host_that_offers_no_newer_one_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(packages, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(shell, "run", lambda argv, **_options: asked.extend(argv))
    monkeypatch.setattr(packages, "versions", lambda _names: {"other": "1"})
    with pytest.raises(RuntimeError, match="nothing as new as tool>=2"):
        packages.install(["other", "tool>=2"], "")
    assert asked[-2:] == ["other", "tool"]


def test_19_what_the_packages_forget_is_named_and_what_nobody_wants_is_not_there() -> None:
    for _cloud, host, bundle in hosts():
        assert "openvswitch-switch" in installed(bundle)
        assert not {"tgt", "nova-compute-kvm"} & installed(bundle)
        assert "tgt" in bundle.masked
        if Role.CONTROLLER in host.roles:
            volume = next(stage for stage in bundle.stages if stage.service == "cinder")
            assert {"cinder-volume", "open-iscsi"} <= set(volume.packages), "in one apt call, or apt takes tgt"


def test_20_no_daemon_reads_a_directory_of_settings() -> None:
    for _cloud, _host, bundle in hosts():
        for path, file in files_of(bundle).items():
            assert not re.match(r"/etc/(neutron|nova|cinder|glance|keystone)/[^/]*\.conf\.d/", path)
            if path.endswith(".service") or path.startswith("/etc/stockade/uwsgi/"):
                assert "--config-dir" not in file.content, path


def test_20_no_option_stands_in_two_files_of_one_daemon() -> None:
    for _cloud, _host, bundle in hosts():
        files = ini_files(bundle)
        for path, file in files_of(bundle).items():
            read = re.findall(r"--config-file (\S+)", file.content)
            places = [place for name in read for place in files[name]]
            assert len(places) == len(set(places)), f"{path}: which one wins depends on their order"


def test_units_of_openstack_are_ours_from_beginning_to_end() -> None:
    """Debian's `Wants=` would start keystone, mariadb and rabbitmq wherever nova-compute starts."""
    for _cloud, _host, bundle in hosts():
        for name in filter(OURS.match, units_of(bundle)):
            unit = service_settings(files_of(bundle)[unit_path(name)].content)
            assert unit["Wants"] == ["network-online.target"]
            assert not {"Requires", "BindsTo", "PartOf", "Upholds"} & set(unit)
            assert unit["Restart"] == ["always"]
            assert unit["StartLimitIntervalSec"] == ["0"]
            assert int(unit["TimeoutStopSec"][0]) >= 30, "Debian's 15 s cuts running work off"


def test_apis_listen_on_the_management_address_only() -> None:
    """On all addresses they would take the VIP's port away from HAProxy."""
    for cloud, host, bundle in hosts(Role.CONTROLLER):
        for path, file in files_of(bundle).items():
            if path.startswith("/etc/stockade/uwsgi/"):
                assert re.search(rf"^http-socket = {host.management}:\d+$", file.content, re.MULTILINE), path
        proxy = files_of(bundle)["/etc/haproxy/haproxy.cfg"].content
        own = {"127.0.0.1", str(CLOUDS[cloud].internal_vip), str(CLOUDS[cloud].external_vip)}
        assert set(re.findall(r"^ +bind ([^:]+):", proxy, re.MULTILINE)) == own
        found = ini_files(bundle)
        assert found["/etc/glance/glance-api.conf"]["DEFAULT", "bind_host"] == str(host.management)
        assert found["/etc/nova/nova.conf"]["vnc", "novncproxy_host"] == str(host.management)


def test_nothing_listens_on_every_address() -> None:
    for _cloud, _host, bundle in hosts():
        for path, file in files_of(bundle).items():
            assert "0.0.0.0" not in file.content, path


def test_a_host_never_runs_what_belongs_to_other_roles() -> None:
    for _cloud, _host, bundle in hosts(Role.COMPUTE):
        assert {"keystone", "mariadb", "rabbitmq-server", "nova-api", "keepalived"} <= set(bundle.masked)
    for _cloud, _host, bundle in hosts():
        assert not set(bundle.masked) & set(units_of(bundle))


def test_nothing_brings_vms_back_at_boot() -> None:
    for _cloud, _host, bundle in hosts(Role.COMPUTE):
        units = units_of(bundle)
        assert units["libvirtd"].start is units["nova-compute"].start is Start.AGENT
        assert {"libvirt-guests", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"} <= set(
            bundle.masked
        )
        assert "WantedBy" not in files_of(bundle)[unit_path("nova-compute")].content
        nova = ini_files(bundle)["/etc/nova/nova-compute.conf"]
        assert nova["DEFAULT", "resume_guests_state_on_host_boot"] == "false"


def test_every_file_of_several_services_is_the_same_in_all_and_written_before_any_needs_it() -> None:
    after = {service.name: set(service.after) for service in SERVICES}

    def before(name: str) -> set[str]:
        return after[name] | {each for parent in after[name] for each in before(parent)}

    for _cloud, _host, bundle in hosts():
        first: dict[str, tuple[str, object]] = {}
        for stage in bundle.stages:
            for file in stage.files:
                service, same = first.setdefault(file.path, (stage.service, file))
                assert same == file, f"{service} and {stage.service} disagree about {file.path}"
                assert service == stage.service or service in before(stage.service)
            for unit in stage.units:
                for path in (*unit.reads, *unit.reloads):
                    assert first[path][0] in {stage.service, *before(stage.service)}, (
                        f"{unit.name} reads {path} too soon"
                    )


def rows() -> list[list[str]]:
    """Cells of the table's rows."""
    lines = PAGE.read_text().splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if re.match(r"\| *\d", line)]


def written_here() -> set[str]:
    tree = ast.parse(Path(__file__).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_the_table_has_all_traps_each_with_an_existing_test() -> None:
    assert [row[0] for row in rows()] == [str(number) for number in range(1, 21)]
    for number, _trap, rule, tested in rows():
        names = re.findall(r"`(test_\w+)`", tested)
        assert set(names) <= written_here(), number
        assert names or rule.startswith(("Comes with", "Open")), f"trap {number} has no test"


def test_the_table_names_every_test_of_a_trap() -> None:
    named = {name for row in rows() for name in re.findall(r"`(test_\w+)`", row[3])}
    assert {name for name in written_here() if re.match(r"test_\d", name)} == named


def test_the_context_renders_the_same_bundles_every_time() -> None:
    assert rendered("lab")["ctl1"].masked == rendered.__wrapped__("lab")["ctl1"].masked
    made = context("lab")
    assert {service.name for service in made.services} == {service.name for service in SERVICES}
