"""The status page that a real guest served, and what is none."""

from __future__ import annotations

import pytest

from stockade.guest.page import NotAGuestError, parse_status

# Captured from a guest on a network with dnsmasq and a metadata server, after two kills of its machine.
WRITING = (
    '{"schema": 1, "instance_id": "i-00000007", "hostname": "pet1.novalocal", '
    '"uuid": "7e0b9a54-0001-4000-8000-000000000001", "host": "host-serial-1", '
    '"boot_id": "569a4dea-5ea4-40db-9655-b5690a93d95c", "kernel": "6.12.117+deb13-cloud-amd64", '
    '"uptime_s": 33.24, "ready_s": 2.17, "memory_available_kb": 29908, "watchdog": "i6300esb", '
    '"writer": {"state": "writing", "disk": "vdb", "serial": "data-1", "last": 217, "first": 142, '
    '"resumed_from": 141, "gaps": 0, "errors": 0}, "lease": ["interface=eth0", "ip=192.168.50.18/24", '
    '"router=192.168.50.1", "dns=192.168.50.1", "server=192.168.50.1", "lease_s=86400", "mtu=1450", '
    '"staticroutes=169.254.169.254/32 192.168.50.1 0.0.0.0/0 192.168.50.1"]}\n'
)


def test_a_real_page_is_read_whole() -> None:
    status = parse_status(WRITING)
    assert status.instance_id == "i-00000007"
    assert (status.uptime_s, status.ready_s) == (33.24, 2.17)
    assert status.address == "192.168.50.18"
    assert dict(status.lease)["mtu"] == "1450"
    assert (status.writer.state, status.writer.last, status.writer.first) == ("writing", 217, 142)
    assert status.watchdog == "i6300esb"


def test_a_page_before_the_first_lease_has_no_address() -> None:
    page = WRITING[: WRITING.index('"lease"')] + '"lease": []}'
    status = parse_status(page.replace('"ready_s": 2.17', '"ready_s": null'))
    assert (status.address, status.ready_s) == ("", None)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "<html>", WRITING[:-40], WRITING.replace('"last": 217, ', ""), WRITING.replace("217", '"x"')],
)
def test_anything_else_is_not_a_page(text: str) -> None:
    with pytest.raises(NotAGuestError):
        parse_status(text)


def test_a_page_of_another_schema_is_named() -> None:
    with pytest.raises(NotAGuestError, match="schema 2"):
        parse_status(WRITING.replace('"schema": 1', '"schema": 2'))
