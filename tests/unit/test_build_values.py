"""The build's small parts: configuration files, secrets, certificates, the status screen, clients' files."""

from __future__ import annotations

import datetime
import json
import os
import stat
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

sys.path.insert(0, str(Path(__file__).parent))

from build_world import CLOUDS

from stockade.agent import grant
from stockade.build import certificates
from stockade.build.clients import write_clouds_yaml
from stockade.build.context import DATABASE_BACKEND
from stockade.build.hostside import checks, haproxy
from stockade.build.ini import HEADER, reasoned, render, section
from stockade.build.model import Answer
from stockade.build.report import HOLDS, summary, with_vips
from stockade.build.secrets import Secrets
from stockade.build.services import nova_compute
from stockade.cloud import paths
from stockade.errors import StockadeError, UsageError


class TestIni:
    """oslo.config files from settings."""

    def test_sections_in_order_of_first_appearance_with_reasons_above(self) -> None:
        settings = [
            *section("DEFAULT", debug=False),
            reasoned("database", "max_retries", -1, "Keep trying."),
            *section("DEFAULT", workers=2),
        ]
        expected = "[DEFAULT]\ndebug = false\nworkers = 2\n\n[database]\n# Keep trying.\nmax_retries = -1\n"
        assert render(settings) == f"{HEADER}\n{expected}"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (True, "true"),
            (False, "false"),
            (3, "3"),
            ("a,b", "a,b"),
            (["a", 1], "a,1"),
            (IPv4Address("10.0.0.1"), "10.0.0.1"),
        ],
    )
    def test_values(self, value: object, text: str) -> None:
        assert f"option = {text}\n" in render(section("s", option=value))

    def test_a_later_setting_replaces_an_earlier_one_in_its_place(self) -> None:
        settings = [*section("s", a=1, b=2), reasoned("s", "a", 3, "Because.")]
        assert render(settings).endswith("[s]\n# Because.\na = 3\nb = 2\n")

    def test_the_cloud_files_options_win_and_say_where_they_are_from(self) -> None:
        text = render(section("s", a=1, b=2), {"s": {"b": "9"}, "new": {"c": "x"}})
        assert text.endswith("[s]\na = 1\n# set in the cloud file\nb = 9\n\n[new]\n# set in the cloud file\nc = x\n")

    def test_a_long_reason_is_wrapped_into_comments(self) -> None:
        text = render([reasoned("s", "a", 1, "word " * 60)])
        lines = text.splitlines()[3:-1]
        assert len(lines) > 1
        assert all(line.startswith("# ") and len(line) <= 110 for line in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "secrets.json"


class TestSecrets:
    """Made once, kept in one closed file."""

    def test_asked_twice_the_same_and_after_a_reload_too(self, path: Path) -> None:
        secrets = Secrets.load(path)
        made = [secrets.password("a"), secrets.uuid("b"), secrets.fernet_key("c"), secrets.ceph_key("d")]
        secrets.save()
        again = Secrets.load(path)
        assert [again.password("a"), again.uuid("b"), again.fernet_key("c"), again.ceph_key("d")] == made
        assert len(set(made)) == 4

    def test_kinds(self) -> None:
        secrets = Secrets()
        assert secrets.password("a").isalnum()
        assert len(secrets.password("a")) == 32
        assert len(secrets.fernet_key("b")) == 44
        assert secrets.ceph_key("c").startswith("AQ"), "type 1 in base64"
        assert len(secrets.ceph_key("c")) == 40

    def test_names_are_shared_by_all_kinds(self) -> None:
        secrets = Secrets()
        assert secrets.uuid("same") == secrets.password("same")

    def test_the_file_is_closed_to_others_whatever_the_umask(self, path: Path) -> None:
        before = os.umask(0)
        try:
            secrets = Secrets.load(path)
            secrets.password("a")
            secrets.save()
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [each.name for each in path.parent.iterdir()] == ["secrets.json"]

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
    def test_an_open_file_is_refused(self, path: Path, mode: int) -> None:
        path.parent.mkdir()
        path.write_text("{}")
        path.chmod(mode)
        with pytest.raises(StockadeError, match="can be read by others; `chmod 600"):
            Secrets.load(path)

    def test_nothing_new_nothing_written(self, path: Path) -> None:
        secrets = Secrets.load(path)
        secrets.save()
        assert not path.exists()
        secrets.password("a")
        secrets.save()
        inode = path.stat().st_ino
        again = Secrets.load(path)
        again.password("a")
        again.save()
        assert path.stat().st_ino == inode

    def test_a_save_that_fails_leaves_the_old_file_whole(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        secrets = Secrets.load(path)
        secrets.password("a")
        secrets.save()
        before = path.read_text()

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        secrets.password("b")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            secrets.save()
        assert path.read_text() == before

    def test_a_failed_save_is_made_up_for_by_the_next(self, path: Path) -> None:
        path.parent.mkdir()
        (path.parent / "secrets.new").write_text("half of it, open to all")
        secrets = Secrets.load(path)
        value = secrets.password("a")
        secrets.save()
        assert Secrets.load(path).text("a") == value

    def test_fresh_until_something_was_kept(self, path: Path) -> None:
        assert Secrets.load(path).fresh
        secrets = Secrets.load(path)
        secrets.password("a")
        secrets.save()
        assert not Secrets.load(path).fresh


NODE = IPv4Address("10.77.0.11")


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


class TestCertificates:
    """The cloud's own CA."""

    def test_the_authority_stays_the_same(self) -> None:
        secrets = Secrets()
        first = certificates.authority(secrets, "lab")
        certificates.leaf(secrets, "lab", "etcd.ctl1", [NODE])
        assert certificates.authority(secrets, "lab") == first
        made = certificate(first)
        assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert made.subject.rfc4514_string() == "CN=lab stockade CA"

    def test_a_leaf_is_signed_by_it_and_is_for_these_names_on_both_sides(self) -> None:
        secrets = Secrets()
        pem, key_pem = certificates.leaf(secrets, "lab", "etcd.ctl1", [NODE], ["ctl1"])
        made = certificate(pem)
        made.verify_directly_issued_by(certificate(certificates.authority(secrets, "lab")))
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.IPAddress) == [NODE]
        assert names.get_values_for_type(x509.DNSName) == ["ctl1"]
        usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        key = load_pem_private_key(key_pem.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.public_key() == made.public_key()

    def test_chains_have_the_identifiers_that_strict_clients_demand(self) -> None:
        secrets = Secrets()
        made = certificate(certificates.leaf(secrets, "lab", "a", [NODE])[0])
        signer = certificate(certificates.authority(secrets, "lab"))
        own = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == own

    def test_it_is_valid_now_also_where_clocks_are_behind_and_for_no_longer_than_clients_accept(self) -> None:
        made = certificate(certificates.leaf(Secrets(), "lab", "a", [NODE])[0])
        now = datetime.datetime.now(datetime.UTC)
        assert made.not_valid_before_utc <= now - datetime.timedelta(hours=23)
        life = made.not_valid_after_utc - now
        assert datetime.timedelta(days=365) < life <= datetime.timedelta(days=825)

    def test_asked_again_the_same_one(self) -> None:
        secrets = Secrets()
        first = certificates.leaf(secrets, "lab", "a", [NODE], ["x", "y"])
        assert certificates.leaf(secrets, "lab", "a", [NODE], ["y", "x"]) == first
        assert certificates.leaf(secrets, "lab", "b", [NODE], ["x", "y"]) != first

    @pytest.mark.parametrize(
        ("addresses", "names"),
        [([IPv4Address("10.77.0.12")], []), ([NODE, IPv4Address("10.77.0.10")], []), ([NODE], ["n"])],
    )
    def test_other_names_another_certificate(self, addresses: list[IPv4Address], names: list[str]) -> None:
        secrets = Secrets()
        first = certificates.leaf(secrets, "lab", "a", [NODE])
        assert certificates.leaf(secrets, "lab", "a", addresses, names) != first
        assert certificates.leaf(secrets, "lab", "a", addresses, names) == certificates.leaf(
            secrets, "lab", "a", addresses, names
        )

    def test_one_that_ends_soon_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secrets = Secrets()
        monkeypatch.setattr(certificates, "LEAF_DAYS", certificates.RENEW_DAYS - 1)
        first = certificates.leaf(secrets, "lab", "a", [NODE])
        monkeypatch.setattr(certificates, "LEAF_DAYS", certificates.RENEW_DAYS + 1)
        second = certificates.leaf(secrets, "lab", "a", [NODE])
        assert second != first
        assert certificates.leaf(secrets, "lab", "a", [NODE]) == second


def answer(host: str, service: str, text: str, *, ok: bool = True) -> Answer:
    return Answer(host, service, f"{service} check", ok=ok, text=text)


class TestReport:
    """The status screen."""

    def test_healthy(self) -> None:
        answers = [
            answer("ctl1", "galera", "Synced in a primary component of 3"),
            answer("ctl2", "galera", "Synced in a primary component of 3"),
            answer("ctl1", "base", "stockade-agent running"),
        ]
        healthy, screen, data = summary(answers)
        assert healthy
        assert screen.splitlines() == [
            "ok        Agents                     stockade-agent running",
            "ok        Database (Galera)          Synced in a primary component of 3 (ctl1, ctl2)",
            "",
            "healthy",
        ]
        assert json.loads(data)["healthy"] is True
        assert len(json.loads(data)["answers"]) == 3

    def test_degraded_names_host_check_and_why_and_nothing_that_is_well(self) -> None:
        answers = [
            answer("ctl1", "galera", "Synced"),
            answer("ctl2", "galera", "Connection refused", ok=False),
            answer("cmp1", "machine", "no SSH", ok=False),
            answer("ctl1", "etcd", "3 of 3 members commit"),
        ]
        healthy, screen, data = summary(answers)
        assert not healthy
        assert screen.splitlines() == [
            "DEGRADED  Machines",
            "            cmp1: machine check: no SSH",
            "ok        Coordination (etcd)        3 of 3 members commit",
            "DEGRADED  Database (Galera)",
            "            ctl2: galera check: Connection refused",
            "",
            "degraded: 2 of 3 mechanisms",
        ]
        assert json.loads(data)["healthy"] is False

    @pytest.mark.parametrize("holder", ["ctl1", "ctl3"])
    def test_says_who_holds_the_vips(self, holder: str) -> None:
        hosts = ("ctl1", "ctl2", "ctl3")
        answers = [answer(host, "keepalived", "holds the VIP" if host == holder else "stands by") for host in hosts]
        assert f"{holder} holds the VIPs" in summary(answers)[1]

    def test_a_service_of_which_the_screen_knows_no_title_is_shown_last(self) -> None:
        _healthy, screen, _data = summary([answer("h", "brand-new", "fine"), answer("h", "cinder", "fine")])
        assert [line.split()[1] for line in screen.splitlines()[:2]] == ["Volumes", "brand-new"]


class TestClients:
    """What a user's client needs."""

    @pytest.fixture(autouse=True)
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
        (tmp_path / "lab").mkdir()
        return tmp_path / "lab"

    def test_a_cloud_never_built_here_has_none(self) -> None:
        with pytest.raises(UsageError, match="has not been built here"):
            write_clouds_yaml(CLOUDS["lab"])

    def test_clouds_yaml_leads_to_the_external_vip_and_is_closed_to_others(self, state: Path) -> None:
        (state / "clouds.yaml").write_text("of an earlier time, open to all")
        secrets = Secrets.load(state / "secrets.json")
        password = secrets.password("keystone.admin")
        authority = certificates.authority(secrets, "lab")
        secrets.save()
        written = write_clouds_yaml(CLOUDS["lab"])
        assert written == state / "clouds.yaml"
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        text = written.read_text()
        assert "auth_url: https://10.77.3.10:5000/v3" in text
        assert f"password: {password}" in text
        assert f"{state}/ca.pem" in text
        assert (state / "ca.pem").read_text() == authority


@pytest.mark.parametrize(
    ("holders", "wrong"),
    [((), ["held by no host"]), (("ctl1",), []), (("ctl1", "ctl3"), ["held by ctl1 and ctl3"])],
)
def test_a_vip_has_exactly_one_holder(holders: tuple[str, ...], wrong: list[str]) -> None:
    answers = [
        Answer(host, "keepalived", "internal VIP", ok=True, text=HOLDS if host in holders else "stands by")
        for host in ("ctl1", "ctl2", "ctl3")
    ]
    judged = with_vips(answers)
    assert [answer.text for answer in judged if not answer.ok] == wrong
    assert judged[:3] == tuple(answers)


def test_words_shared_with_programs_that_cannot_import_them() -> None:
    """The host side and the agent stand alone, so these are written twice."""
    assert haproxy.DATABASE == DATABASE_BACKEND
    assert str(grant.HOLD) == nova_compute.HOLD
    assert f'"{HOLDS}"' in Path(checks.__file__).read_text()
