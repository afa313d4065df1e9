"""Keys of the lab: the operator's, the machines' host keys, and the CA of the BMCs."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from stockade.files import write_whole
from stockade.machines.lab.paths import LabPaths

USER = "admin"
_YEARS_10 = datetime.timedelta(days=3650)
_SKEW = datetime.timedelta(days=1)


def ensure_ssh_key(file: Path, comment: str) -> str:
    """The public half of the ed25519 key in `file`, made if it isn't there; its `.pub` is written beside it."""
    if file.exists():
        key = serialization.load_ssh_private_key(file.read_bytes(), password=None)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        write_whole(file, pem, 0o600)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{public.decode()} {comment}"
    write_whole(file.with_name(file.name + ".pub"), line + "\n")
    return line


def known_hosts(entries: Iterable[tuple[str, str]]) -> str:
    """A known_hosts file of (address, public key) pairs."""
    return "".join(f"{address} {' '.join(key.split()[:2])}\n" for address, key in entries)


def ensure_password(file: Path) -> None:
    """A random password in `file`, unless there is one."""
    if not file.exists():
        write_whole(file, secrets.token_urlsafe(18).encode() + b"\n", 0o600)


def ensure_certificates(paths: LabPaths, addresses: Iterable[str]) -> bool:
    """The BMCs' CA and a server certificate good for `addresses`; True if the certificate is a new one."""
    wanted = sorted(set(addresses), key=IPv4Address)
    authority, authority_key = paths.bmc / "ca.pem", paths.bmc / "ca.key"
    if not (authority.exists() and authority_key.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(f"Stockade lab {paths.cloud} BMC CA", key, None, key, ())
        write_whole(authority_key, _pem(key), 0o600)
        write_whole(authority, certificate.public_bytes(serialization.Encoding.PEM))
        (paths.bmc / "server.pem").unlink(missing_ok=True)
    server = paths.bmc / "server.pem"
    if server.exists() and _addresses(x509.load_pem_x509_certificate(server.read_bytes())) == wanted:
        return False
    issuer_key = serialization.load_pem_private_key(authority_key.read_bytes(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(f"{paths.cloud} BMC", key, issuer, issuer_key, tuple(wanted))
    write_whole(server, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM), 0o600)
    return True


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    addresses: tuple[str, ...],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _YEARS_10)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(authority=issuer is None), critical=True)
    )
    if addresses:
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address)) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _addresses(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
