"""The table of timers: complete, ordered from quick to slow, and adding up to what is promised."""

from __future__ import annotations

from dataclasses import fields

import pytest

from stockade.cloud.model import HaProfile
from stockade.cloud.timers import (
    FAST,
    SAFE,
    SMALL,
    Timers,
    router_takeover_s,
    rows,
    silent_backend_s,
    timers,
    vanished_peer_s,
    vip_takeover_s,
)

COLUMNS = [FAST, SAFE, SMALL]


def test_every_profile_has_a_column() -> None:
    assert [timers(profile) for profile in HaProfile] == COLUMNS


def test_every_timer_says_what_it_sets_and_why() -> None:
    for row in rows():
        assert row.sets
        assert row.reason.endswith(".")


def test_units_come_last_in_names() -> None:
    counts = {"haproxy_rise", "haproxy_fall", "tcp_retries2", "tcp_keepalive_probes"}
    for timer in fields(Timers):
        assert timer.name in counts or timer.name.endswith(("_s", "_ms")), timer.name


def test_fast_is_never_slower_than_safe() -> None:
    for row in rows():
        assert row.fast <= row.safe, row.name


@pytest.mark.parametrize("column", COLUMNS)
def test_columns_make_sense(column: Timers) -> None:
    """What each project asks of its own timers."""
    assert column.galera_keepalive_s < column.galera_suspect_s < column.galera_inactive_s
    assert column.galera_inactive_check_s < column.galera_suspect_s
    assert column.galera_install_s >= column.galera_suspect_s
    assert 5 * column.etcd_heartbeat_ms <= column.etcd_election_ms <= 50_000
    assert 2 * column.nova_report_s < column.nova_service_down_s
    assert 2 * column.agent_report_s < column.agent_down_s
    assert 3 * column.osd_heartbeat_interval_s < column.osd_heartbeat_grace_s
    assert column.haproxy_fastinter_ms <= column.haproxy_inter_ms
    assert column.vrrp_advert_s >= 0.1
    assert (column.vrrp_advert_s * 100).is_integer(), "VRRP 3 counts in hundredths"


def test_promises() -> None:
    """The numbers of the design, where arithmetic alone decides them."""
    for column in (FAST, SMALL):
        assert silent_backend_s(column) <= 10
        assert vip_takeover_s(column) <= 5
        assert router_takeover_s(column) <= 5
        assert column.rabbit_client_heartbeat_s <= 30
        assert 1.25 * column.rabbit_net_ticktime_s <= 30
        assert column.osd_heartbeat_grace_s + 2 * column.mon_lease_s <= 30


def test_tcp_retries_add_up_as_the_kernel_documents() -> None:
    """ip-sysctl: 8 is above the 100 s that RFC 1122 asks for."""
    assert vanished_peer_s(SAFE) == pytest.approx(102.2)
    assert vanished_peer_s(FAST) == pytest.approx(12.6)
