"""The kinds of single values a cloud file holds, each parsed once and refused with a sentence of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError

OWN_ERROR = "stockade"
"""Type of the validation errors raised here; their context holds `what` and `fix`."""


def refuse(what: str, fix: str) -> PydanticCustomError:
    """The error that says `what` is wrong and how to `fix` it."""
    return PydanticCustomError(OWN_ERROR, "{what}; {fix}", {"what": what, "fix": fix})


def show(value: object) -> str:
    """`value` as it may be quoted in a sentence: short, on one line."""
    text = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(value))).strip()
    return f'"{text[:60]}..."' if len(text) > 63 else f'"{text}"'


def _parsed(pattern: str, example: str, parse: Callable[[str], object]) -> tuple[Any, ...]:
    """Metadata of a field written as text that matches `pattern` and means something else."""

    def before(value: object) -> object:
        if not isinstance(value, str):
            raise refuse(f"{show(value)} is not written as it should be", f"write it like {example}")
        return parse(value)

    schema = {"type": "string", "pattern": pattern, "examples": [example]}
    return (BeforeValidator(before), WithJsonSchema(schema))


_QUAD = r"(\d{1,3}\.){3}\d{1,3}"


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip())
    except AddressValueError:
        raise refuse(
            f"{show(text)} is not an IPv4 address", "write four numbers from 0 to 255, like 10.0.0.10"
        ) from None


def _network(text: str) -> IPv4Network:
    if "/" not in text:
        raise refuse(f"{show(text)} has no prefix length", "write it like 10.0.0.0/24")
    try:
        loose = IPv4Network(text.strip(), strict=False)
    except ValueError:
        raise refuse(f"{show(text)} is not an IPv4 network", "write it like 10.0.0.0/24") from None
    try:
        return IPv4Network(text.strip())
    except ValueError:
        raise refuse(f"{show(text)} is an address inside a network, not a network", f"write {loose}") from None


def _pool(text: str) -> tuple[IPv4Address, IPv4Address]:
    first, dash, last = text.partition("-")
    if not dash:
        raise refuse(f"{show(text)} is not a range", "write the first and last address, like 10.0.3.100-10.0.3.199")
    low, high = _address(first), _address(last)
    if low > high:
        raise refuse(f"{show(text)} ends before it begins", f"write {high}-{low}")
    return low, high


MAX_VLAN = 4094


def _vlans(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*", text)
    if not match:
        raise refuse(f"{show(text)} is not a range of VLAN ids", "write the first and last id, like 100-199")
    low, high = int(match[1]), int(match[2])
    if low > high:
        raise refuse(f"{show(text)} ends before it begins", f"write {high}-{low}")
    if low < 1 or high > MAX_VLAN:
        raise refuse(f"{show(text)} leaves the VLAN ids there are", f"stay within 1-{MAX_VLAN}")
    return low, high


LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
"""One part of a DNS name (RFC 1123)."""


def is_dns_name(text: str) -> bool:
    """True if `text` is a host name, with or without dots, that is not a number."""
    labels = text.lower().removesuffix(".").split(".")
    return len(text) <= 253 and all(LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


def is_address(text: str) -> bool:
    """True if `text` is an IPv4 address."""
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _reachable(text: str) -> str:
    if not (is_dns_name(text) or is_address(text)):
        raise refuse(f"{show(text)} is neither a host name nor an IPv4 address", "write it like ctl1.example.org")
    return text


def _dns_name(text: str) -> str:
    if not is_dns_name(text):
        raise refuse(f"{show(text)} is not a DNS name", "write it like cloud.example.org, or leave it out")
    return text


def _nic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,15}", text) or text in (".", ".."):
        raise refuse(f"{show(text)} is not a NIC name", "write what `ip link` shows, at most 15 characters, like eno1")
    return text


def _disk(text: str) -> str:
    if text.startswith("file:"):
        size = re.fullmatch(r"file:(\d{1,6})([GT])", text)
        if not size or (size[2] == "G" and int(size[1]) < MIN_OSD_GIB) or int(size[1]) == 0:
            raise refuse(f"{show(text)} is not the size of a file", f"write at least file:{MIN_OSD_GIB}G")
        return text
    if not re.fullmatch(r"/dev/[A-Za-z0-9_./:+@-]+", text) or ".." in text:
        fix = "write a device like /dev/disk/by-id/..., or file:8G for a file"
        raise refuse(f"{show(text)} is not a disk", fix)
    return text


MIN_OSD_GIB = 5
"""BlueStore's own files take about one GiB; below this an OSD is near-full before it holds an image."""


def _bmc_url(text: str) -> str:
    like = "write the address of its Redfish service, like https://192.0.2.21"
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        raise refuse(f"{show(text)} is not a URL", like) from None
    if url.scheme not in ("https", "http") or not host or re.search(r"\s", text):
        raise refuse(f"{show(text)} is not a URL of a BMC", like)
    if url.username is not None or url.password is not None:
        # the value is not quoted: it holds a password
        raise refuse("the URL carries a user name or password", "use username and password_file")
    return text.rstrip("/")


def _path(text: str) -> str:
    if not text.strip() or "\0" in text or "\n" in text:
        raise refuse(f"{show(text)} is not a file name", "write a path; relative ones start at the cloud file")
    return text


def _word(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,128}", text):
        raise refuse(f"{show(text)} is not one word", "write it without spaces, in ASCII, at most 128 characters")
    return text


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise refuse("is not a single value", "write text or a number; lists as OpenStack writes them: a,b,c")
    if any(not char.isprintable() for char in value):
        raise refuse(f"{show(value)} holds a line break or control character", "write it on one line")
    return value


Address = Annotated[IPv4Address, *_parsed(f"^{_QUAD}$", "10.0.0.10", _address)]
Cidr = Annotated[IPv4Network, *_parsed(f"^{_QUAD}/\\d{{1,2}}$", "10.0.0.0/24", _network)]
Pool = Annotated[tuple[IPv4Address, IPv4Address], *_parsed(f"^{_QUAD}-{_QUAD}$", "10.0.3.100-10.0.3.199", _pool)]
Vlans = Annotated[tuple[int, int], *_parsed(r"^\d{1,4}-\d{1,4}$", "100-199", _vlans)]
Reachable = Annotated[str, AfterValidator(_reachable)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
Nic = Annotated[str, AfterValidator(_nic)]
Disk = Annotated[str, AfterValidator(_disk)]
BmcUrl = Annotated[str, AfterValidator(_bmc_url)]
FileName = Annotated[str, AfterValidator(_path)]
Word = Annotated[str, AfterValidator(_word)]
OptionText = Annotated[str, BeforeValidator(_scalar_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Int = StrictInt
