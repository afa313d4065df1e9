"""The operator's certificate, if there is one: are the files there, and do they belong together?"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from stockade.cloud.document import Wrong
from stockade.cloud.file import TlsSection
from stockade.cloud.resolve import Place
from stockade.cloud.scalars import show

_CERTIFICATE, _KEY = ("tls", "certificate"), ("tls", "key")


def tls_wrongs(tls: TlsSection, place: Place) -> list[Wrong]:
    """What is wrong with the files that `tls` names. Not their dates: the file is judged alike on every day."""
    wrongs: list[Wrong] = []
    certificate = _certificate(tls.certificate, place, wrongs) if tls.certificate else None
    key = _key(tls.key, place, wrongs) if tls.key else None
    if certificate and key and certificate.public_key() != key.public_key():
        wrongs.append(Wrong(_KEY, "is not the key of the certificate", "name the key it was requested with"))
    return wrongs


def _certificate(file: str, place: Place, wrongs: list[Wrong]) -> x509.Certificate | None:
    pem = _read(file, place, _CERTIFICATE, wrongs)
    if pem is None:
        return None
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, UnsupportedAlgorithm):
        fix = "write the certificate, then its chain, as PEM"
        wrongs.append(Wrong(_CERTIFICATE, f"{show(file)} holds no PEM certificate", fix))
        return None


def _key(file: str, place: Place, wrongs: list[Wrong]) -> PrivateKeyTypes | None:
    pem = _read(file, place, _KEY, wrongs)
    if pem is None:
        return None
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        fix = "store it without: HAProxy starts unattended"
        wrongs.append(Wrong(_KEY, f"{show(file)} is locked with a passphrase", fix))
    except (ValueError, UnsupportedAlgorithm):
        fix = "name the file with the certificate's key"
        wrongs.append(Wrong(_KEY, f"{show(file)} holds no PEM private key", fix))
    return None


def _read(file: str, place: Place, key: tuple[str, str], wrongs: list[Wrong]) -> bytes | None:
    try:
        return place.path(file).read_bytes()
    except FileNotFoundError:
        fix = "relative paths start at the cloud file's directory"
        wrongs.append(Wrong(key, f"there is no file {show(file)}", fix))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a file name"
        wrongs.append(Wrong(key, f"{show(file)} cannot be read: {why}", "look at its kind and permissions"))
    return None
