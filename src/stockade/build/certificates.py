"""The cloud's own certificate authority and the certificates it signs. Kept among the secrets."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stockade.build.secrets import Secrets

CA_DAYS = 3650
LEAF_DAYS = 825
"""The longest life Apple's and other clients accept of a private certificate."""

RENEW_DAYS = 60
"""How long before its end `up` replaces a certificate: two months in which somebody will run it."""


def authority(secrets: Secrets, cloud: str) -> str:
    """The CA's certificate in PEM; made the first time."""
    if not secrets.text("tls.ca.certificate"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{cloud} stockade CA")])
        certificate = (
            _builder(name, name, key, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            # Python 3.13 refuses chains without key identifiers (RFC 5280, 4.2.1.1 and 4.2.1.2).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(key, hashes.SHA256())
        )
        secrets.put("tls.ca.key", _key_pem(key))
        secrets.put("tls.ca.certificate", certificate.public_bytes(serialization.Encoding.PEM).decode())
    return secrets.text("tls.ca.certificate") or ""


def leaf(
    secrets: Secrets,
    cloud: str,
    name: str,
    addresses: Iterable[IPv4Address],
    names: Iterable[str] = (),
    *,
    client: bool = True,
) -> tuple[str, str]:
    """(certificate, key) in PEM called `name`, valid for `addresses` and `names` as server and, if `client`, as client.

    Made the first time, and again when the addresses or names have changed or its end is near.
    """
    subjects = sorted({str(address) for address in addresses} | set(names))
    wanted = " ".join(subjects)
    if secrets.text(f"tls.{name}.subjects") != wanted or _ends_soon(secrets.text(f"tls.{name}.certificate")):
        ca = x509.load_pem_x509_certificate(authority(secrets, cloud).encode())
        ca_key = serialization.load_pem_private_key((secrets.text("tls.ca.key") or "").encode(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, ca.subject, key, LEAF_DAYS)
            .add_extension(x509.SubjectAlternativeName([_general_name(text) for text in subjects]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            # etcd lets every client certificate of this CA in: what users' connections end at must not be one.
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
                ),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )
        secrets.put(f"tls.{name}.key", _key_pem(key))
        secrets.put(f"tls.{name}.certificate", certificate.public_bytes(serialization.Encoding.PEM).decode())
        secrets.put(f"tls.{name}.subjects", wanted)
    return secrets.text(f"tls.{name}.certificate") or "", secrets.text(f"tls.{name}.key") or ""


def _ends_soon(certificate: str | None) -> bool:
    if not certificate:
        return True
    ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    return ends - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=RENEW_DAYS)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(IPv4Address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day back: machines' clocks may disagree while the cloud is built.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
