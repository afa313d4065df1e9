"""Reading a cloud file: defaults, problems and their places, paths."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from stockade.cloud.errors import CloudFileError, Problem
from stockade.cloud.load import default_cloud_path, lab_example, load, parse
from stockade.cloud.model import Cloud, HaProfile, Plane
from stockade.errors import UsageError

LAB = """
name: lab
machines: lab
hosts:
  ctl1: { roles: [controller, storage] }
  ctl2: { roles: [controller, storage] }
  ctl3: { roles: [controller, storage] }
  cmp1: { roles: [compute] }
  cmp2: { roles: [compute] }
"""


def problems(text: str, source: str = "cloud.yaml") -> list[str]:
    with pytest.raises(CloudFileError) as caught:
        parse(text, source)
    return [str(problem) for problem in caught.value.problems]


def without_source(cloud: Cloud) -> dict[str, object]:
    return {name: getattr(cloud, name) for name in cloud.__slots__ if name != "source"}


def test_the_lab_example_only_spells_out_the_defaults() -> None:
    assert without_source(load(lab_example())) == without_source(parse(LAB))


def test_lab_numbers_count_in_file_order_and_leave_given_ones_out() -> None:
    text = LAB.replace("cmp1: { roles: [compute] }", "cmp1: { roles: [compute], number: 32 }")
    text = text.replace("  ctl2:", "  cmp0: { roles: [compute] }\n  ctl2:")
    cloud = parse(text + "  cmp9: { roles: [compute] }\n")
    assert {host.name: int(host.management) & 255 for host in cloud.hosts} == {
        "ctl1": 11,
        "cmp0": 31,
        "ctl2": 12,
        "ctl3": 13,
        "cmp1": 32,
        "cmp2": 33,
        "cmp9": 34,
    }


def test_number_counts_from_the_network_address() -> None:
    wide = LAB + "networks: { management: { cidr: 10.8.0.0/16 } }\n"
    cloud = parse(wide.replace("cmp1: { roles: [compute] }", "cmp1: { roles: [compute], addresses: {} }"))
    assert cloud.host("cmp1").management == IPv4Address("10.8.0.31")
    assert cloud.internal_vip == IPv4Address("10.8.0.10")


def test_lab_bmc_and_ssh_are_the_labs_own() -> None:
    host = parse(LAB.replace("name: lab", "name: two")).host("ctl1")
    assert host.ssh.address == "10.77.0.11"
    assert host.ssh.key_file == Path("/var/lib/stockade/two/ssh/id_ed25519")
    assert host.bmc is not None
    assert host.bmc.url == "https://10.77.4.11"
    assert host.bmc.serial == "two-ctl1"
    assert host.bmc.password_file == Path("/var/lib/stockade/two/bmc/ctl1.password")


def test_vrid_stays_and_differs_by_name() -> None:
    def vrid(name: str) -> int:
        return parse(LAB.replace("name: lab", f"name: {name}")).vrid

    assert vrid("lab") == 151, "a change would move the VRRP router id of every cloud that does not name one"
    assert len({vrid(f"cloud{number}") for number in range(20)}) > 15


@pytest.mark.parametrize(("computes", "reserve"), [(1, 0), (2, 1), (9, 1)])
def test_reserve_leaves_a_compute(computes: int, reserve: int) -> None:
    text = LAB.split("  cmp1")[0] + "".join(f"  c{n}: {{ roles: [compute] }}\n" for n in range(computes))
    assert parse(text).guard.reserve_hosts == reserve


def test_servers_default_to_fast() -> None:
    cloud = load(lab_example().parent / "servers.yaml")
    assert cloud.ha_profile is HaProfile.FAST
    assert cloud.api_workers is None
    assert Plane.OUT_OF_BAND not in cloud.networks


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/operator")
    (tmp_path / "clouds").mkdir()
    text = (lab_example().parent / "servers.yaml").read_text()
    (tmp_path / "clouds" / "a.yaml").write_text(text)
    cloud = load(tmp_path / "clouds" / "a.yaml")
    bmc, ssh = cloud.hosts[0].bmc, cloud.hosts[0].ssh
    assert bmc is not None
    assert bmc.password_file == tmp_path / "clouds" / "secrets" / "bmc"
    assert ssh.key_file == Path("/home/operator/.ssh/id_ed25519")
    assert ssh.known_hosts is None


def test_problem_reads_as_promised() -> None:
    said = problems(LAB.replace("[controller, storage] }\n  ctl2", "[controler, storage] }\n  ctl2"))
    assert said == ['cloud.yaml:5: hosts.ctl1.roles: unknown role "controler"; did you mean "controller"?']


def test_error_carries_problems_in_the_order_of_the_file() -> None:
    with pytest.raises(CloudFileError) as caught:
        parse(LAB + "vrid: 0\nregion: [a]\n" + "colour: 1\n", "x.yaml")
    assert [problem.line for problem in caught.value.problems] == [10, 11, 12]
    assert [problem.key for problem in caught.value.problems] == ["vrid", "region", "colour"]
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2


def test_same_problem_is_said_once() -> None:
    problem = Problem("f", 1, "k", "what", "fix")
    assert CloudFileError((problem, problem)).problems == (problem,)
    with pytest.raises(ValueError, match="without a problem"):
        CloudFileError(())


def test_text_without_a_source() -> None:
    assert problems("", source="")[0].startswith("cloud file:1: the file is empty; ")


def test_misspelt_key_does_not_make_its_meaning_missing() -> None:
    text = (lab_example().parent / "servers.yaml").read_text()
    said = problems(text.replace("vip: 10.20.0.10", "vpi: 10.20.0.10").replace("  nics:", "  nisc:"))
    assert len(said) == 2
    assert all("did you mean" in line for line in said)


def test_one_hosts_mistake_hides_nothing_of_another() -> None:
    text = (lab_example().parent / "servers.yaml").read_text()
    wrong = text.replace('bmc: { url: "https://10.20.4.11", serial: 7XK2M91 }', "bmc: 5")
    said = problems(wrong.replace('    bmc: { url: "https://10.20.4.33", serial: 7XK2N13 }\n', ""))
    assert ["hosts.ctl1.bmc: is a number" in said[0], "hosts.cmp3.bmc: is missing" in said[1]] == [True, True]
    assert len(said) == 2


def test_passwords_in_urls_are_not_repeated() -> None:
    text = (lab_example().parent / "servers.yaml").read_text()
    said = problems(text.replace("https://10.20.4.11", "https://root:calvin@10.20.4.11"))
    assert "calvin" not in "\n".join(said)


def test_yaml_anchors_and_merges() -> None:
    text = LAB.replace("ctl1: {", "ctl1: &c {").replace("ctl2: { roles: [controller, storage] }", "ctl2: *c")
    merged = text.replace("ctl3: { roles: [controller, storage] }", "ctl3: { <<: [*c], number: 20 }")
    cloud = parse(merged)
    assert cloud.host("ctl3").roles == cloud.host("ctl1").roles
    assert str(cloud.host("ctl3").management) == "10.77.0.20"


def test_own_key_wins_over_merged_and_has_its_own_line() -> None:
    text = LAB.replace("ctl1: {", "ctl1: &c {").replace("cmp1: {", "cmp1: { <<: *c,")
    said = problems(text.replace("[compute]", "[compue]"))
    assert said[0].startswith("cloud.yaml:8: hosts.cmp1.roles")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x33", 51), ("0o63", 51), ("51", 51), ("+51", 51)],
)
def test_numbers_as_yaml_1_2_has_them(text: str, value: int) -> None:
    assert parse(f"{LAB}vrid: {text}\n").vrid == value


@pytest.mark.parametrize("text", ["'51'", "051", "5_1", "1:1", "51.0", "yes", "5e1", "2024-01-01", "9" * 40])
def test_what_is_no_number(text: str) -> None:
    assert "vrid" in problems(f"{LAB}vrid: {text}\n")[0]


def test_options_are_text() -> None:
    cloud = parse(LAB + "options: { nova: { DEFAULT: { a: true, b: 4, c: 0.5, d: 'x' } } }\n")
    assert cloud.options == {"nova": {"DEFAULT": {"a": "true", "b": "4", "c": "0.5", "d": "x"}}}


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(CloudFileError, match="there is no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(CloudFileError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(CloudFileError, match=r"latin.yaml: is not UTF-8 text \(byte 10\)"):
        load(tmp_path / "latin.yaml")


def test_bombs_are_refused() -> None:
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
    assert "more than 200000 values" in problems(f"a0: &a0 [1]\n{layers}\n")[0]
    assert "nested" in problems("[" * 5000)[0]
    assert "nested" in problems("a: &a { <<: *a }\n")[0]
    assert "longer than" in problems("#" * 5_000_000)[0]


def test_default_cloud_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STOCKADE_CLOUD", raising=False)
    assert default_cloud_path() == lab_example()
    (tmp_path / "cloud.yaml").write_text(LAB)
    assert default_cloud_path() == Path("cloud.yaml")
    monkeypatch.setenv("STOCKADE_CLOUD", "/etc/stockade/prod.yaml")
    assert default_cloud_path() == Path("/etc/stockade/prod.yaml")
