"""Cloud files, and in `.expected` what is said of them: the text of the error, or the cloud and its findings.

STOCKADE_UPDATE_GOLDEN=1 writes those and the pages made from the package anew; look at the difference.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from stockade.cloud.check import check
from stockade.cloud.docs import timers_page, with_made_parts
from stockade.cloud.errors import CloudFileError
from stockade.cloud.load import lab_example, load
from stockade.cloud.schema import schema_text

HERE = Path(__file__).parent / "cloud"
ROOT = Path(__file__).parents[2]
UPDATE = os.environ.get("STOCKADE_UPDATE_GOLDEN") == "1"
EXAMPLES = lab_example().parent

BAD = sorted((HERE / "bad").glob("*.yaml"))
GOOD = sorted([*(HERE / "good").glob("*.yaml"), *EXAMPLES.glob("*.yaml")])


def compare(expected: Path, text: str) -> None:
    if UPDATE:
        expected.write_text(text)
    assert expected.exists(), "run again with STOCKADE_UPDATE_GOLDEN=1, and look at what it wrote"
    assert text == expected.read_text()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and keys that cloud files of the tests name; made here, so that no key is in the
    repository.
    """

    def pem(key: ec.EllipticCurvePrivateKey, lock: KeySerializationEncryption) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)

    made = tmp_path_factory.mktemp("tls")
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud.example.org")])
    day = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2125))
        .sign(key, hashes.SHA256())
    )
    (made / "cloud.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (made / "cloud.key").write_bytes(pem(key, NoEncryption()))
    (made / "other.key").write_bytes(pem(other, NoEncryption()))
    (made / "locked.key").write_bytes(pem(key, BestAvailableEncryption(b"stockade")))
    (made / "not.pem").write_text("not PEM\n")
    return made


@pytest.fixture
def where(tmp_path: Path, tls: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, so that errors name a file without its path."""
    shutil.copytree(tls, tmp_path / "tls")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/operator")
    return tmp_path


def test_enough_bad_files() -> None:
    assert len(BAD) >= 45


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path: Path, where: Path) -> None:
    shutil.copy(path, where)
    with pytest.raises(CloudFileError) as caught:
        load(path.name)
    compare(path.with_suffix(".expected"), f"{caught.value}\n")
    lines = max(1, len(path.read_text().splitlines()))
    for problem in caught.value.problems:
        assert 1 <= problem.line <= lines
        assert problem.what
        assert problem.fix


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good(path: Path, where: Path) -> None:
    shutil.copy(path, where)
    cloud = load(path.name)
    value = json.dumps(plain(cloud), indent=1).replace(str(where.resolve()), "HERE")
    findings = [f"{finding.severity}: {finding.sentence} {finding.fix}" for finding in check(cloud)]
    compare(HERE / "good" / f"{path.stem}.expected", "\n".join([value, "", *findings, ""]))


def plain(value: object) -> object:
    """`value` as JSON can hold it."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    return value if isinstance(value, int | None) else str(value)


def test_schema_is_current() -> None:
    compare(EXAMPLES.parent / "schema.json", schema_text())


def test_timers_page_is_current() -> None:
    compare(ROOT / "docs" / "timers.md", timers_page())


def test_guide_is_current() -> None:
    guide = ROOT / "docs" / "guides" / "cloud-file.md"
    compare(guide, with_made_parts(guide.read_text()))
