"""Every timer that decides how fast a failure is noticed, one column per `ha_profile`.

A timer too long is an outage; a timer too short is an outage too, of healthy machines. The three columns:

- `FAST`: servers with cores to spare on a quiet LAN.
- `SAFE`: busy or virtual servers, stretched networks; close to what the projects themselves ship.
- `SMALL`: a lab whose machines share two loaded cores. What only detects *peers* (elections, membership) is
  slow, since there a stalled scheduler looks exactly like a death; what a user waits for stays quick.

`docs/timers.md` is generated from this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from stockade.cloud.model import HaProfile


def _why(sets: str, reason: str) -> dict[str, str]:
    return {"sets": sets, "reason": reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """One column of the table. Each field's metadata says what it `sets` and the `reason` for its size."""

    vrrp_advert_s: float = field(
        metadata=_why(
            "keepalived `advert_int`",
            "The virtual IP moves 3 adverts and a skew after its holder fell silent. A connection attempt that was "
            "lost is repeated by its client after 1, 3 and 7 s: a takeover above 3 s costs users 7. keepalived "
            "runs in real time, so a busy host does not look dead; below half a second a stalled one does.",
        )
    )
    haproxy_inter_ms: int = field(
        metadata=_why(
            "HAProxy `inter`",
            "Time between checks of a server that is well. All checks of a cloud cost (proxies x back ends x "
            "servers) requests per interval.",
        )
    )
    haproxy_fastinter_ms: int = field(
        metadata=_why(
            "HAProxy `fastinter`",
            "Time between checks while a server's state is in doubt, so that the second opinion comes quickly.",
        )
    )
    haproxy_downinter_ms: int = field(
        metadata=_why("HAProxy `downinter`", "Time between checks of a server that is down: how soon it is used again.")
    )
    haproxy_rise: int = field(
        metadata=_why("HAProxy `rise`", "Good checks before a server is used again; one could be luck.")
    )
    haproxy_fall: int = field(
        metadata=_why("HAProxy `fall`", "Bad checks before a server is taken out; one could be bad luck.")
    )
    haproxy_check_timeout_ms: int = field(
        metadata=_why(
            "HAProxy `timeout check`",
            "How long a frozen server, whose kernel still accepts connections, may keep a check waiting. A "
            "frozen "
            "API must be out of rotation in 10 s: inter + fall x this + (fall - 1) x fastinter.",
        )
    )
    haproxy_connect_timeout_ms: int = field(
        metadata=_why(
            "HAProxy `timeout connect`",
            "What a request loses on a dead server that is not yet marked down, before it goes to another.",
        )
    )
    galera_keepalive_s: float = field(
        metadata=_why(
            "`evs.keepalive_period`",
            "Silence after which a node says it is alive; several must fit in suspect.",
        )
    )
    galera_inactive_check_s: float = field(
        metadata=_why("`evs.inactive_check_period`", "How often a node looks for silent peers.")
    )
    galera_suspect_s: float = field(
        metadata=_why(
            "`evs.suspect_timeout`",
            "Writes stall this long, and a new view, after a node lost power. All must agree to evict, so a "
            "slow "
            "node only costs itself; 2 s needs quiet cores.",
        )
    )
    galera_inactive_s: float = field(
        metadata=_why("`evs.inactive_timeout`", "Silence after which a peer is evicted without all agreeing.")
    )
    galera_install_s: float = field(
        metadata=_why("`evs.install_timeout`", "How long agreeing on a new view may take before it starts over.")
    )
    galera_peer_s: float = field(
        metadata=_why("`gmcast.peer_timeout`", "How long a connection to a peer may take to be made.")
    )
    rabbit_heartbeat_s: int = field(
        metadata=_why(
            "rabbitmq.conf `heartbeat`",
            "The broker's offer to its clients; the lower side wins. The default of 60 lets a dead client hold its "
            "messages for a minute.",
        )
    )
    rabbit_net_ticktime_s: int = field(
        metadata=_why(
            "rabbitmq `net_ticktime`",
            "A silent broker is noticed by the others in 0.75 to 1.25 of this. Quorum queues have a quicker "
            "detector of their own.",
        )
    )
    rabbit_client_heartbeat_s: int = field(
        metadata=_why(
            "`[oslo_messaging_rabbit] heartbeat_timeout_threshold`",
            "Also TCP_USER_TIMEOUT of the client: how long a worker hangs on a broker that lost power.",
        )
    )
    memcache_dead_retry_s: int = field(
        metadata=_why(
            "`memcache_dead_retry`, `memcache_pool_dead_retry`",
            "How long a memcached that failed is left alone. Asking a dead one again costs requests a socket timeout "
            "or several: at 30 s, a drill saw tokens take 2 to 4 s every half minute while a controller was off. "
            "A healed one stays unused for as long, which costs nothing but hits.",
        )
    )
    memcache_socket_timeout_s: float = field(
        metadata=_why(
            "`memcache_socket_timeout`, `memcache_pool_socket_timeout`",
            "What a request loses to a memcached that lost power, once per worker and dead_retry.",
        )
    )
    etcd_heartbeat_ms: int = field(
        metadata=_why("etcd `--heartbeat-interval`", "About the longest round trip, disk included, in ordinary load.")
    )
    etcd_election_ms: int = field(
        metadata=_why(
            "etcd `--election-timeout`",
            "Ten heartbeats. Shorter than a stall of the disk means false elections.",
        )
    )
    nova_service_down_s: int = field(
        metadata=_why(
            "nova `service_down_time`",
            "When the scheduler stops choosing a dead host. The guard does not wait for it.",
        )
    )
    nova_report_s: int = field(
        metadata=_why(
            "nova `report_interval`",
            "One database write per service each time; several must fit in down time.",
        )
    )
    agent_down_s: int = field(
        metadata=_why(
            "neutron `agent_down_time`",
            "When DHCP networks and routers of a dead agent are given to others; the check runs every half of it.",
        )
    )
    agent_report_s: int = field(
        metadata=_why("neutron `report_interval`", "At least two reports must fit in the down time.")
    )
    l3_vrrp_advert_s: int = field(
        metadata=_why(
            "neutron `ha_vrrp_advert_int`",
            "Whole seconds only (VRRP 2). A router moves after 3 of these and 0.8 s.",
        )
    )
    osd_heartbeat_grace_s: int = field(
        metadata=_why(
            "ceph `osd_heartbeat_grace`",
            "Writes to a dead OSD's placement groups wait this long, then for the monitors.",
        )
    )
    osd_heartbeat_interval_s: int = field(
        metadata=_why("ceph `osd_heartbeat_interval`", "Several pings must fit in the grace.")
    )
    mon_lease_s: float = field(
        metadata=_why(
            "ceph `mon_lease`",
            "A dead leading monitor is replaced after two leases; maps stand still until then.",
        )
    )
    tooz_lock_timeout_s: int = field(
        metadata=_why(
            "tooz `lock_timeout`, `membership_timeout`",
            "How long a lock outlives a holder that lost power; renewals run at a third of it.",
        )
    )
    tcp_retries2: int = field(
        metadata=_why(
            "`net.ipv4.tcp_retries2`",
            "A connection with unsent data to a vanished peer ends after (2^(n+1) - 1) x 0.2 s: 5 is 12.6 s, "
            "6 is 25.4 s, 8 is 102 s; the kernel's 15 is 15 minutes.",
        )
    )
    tcp_keepalive_time_s: int = field(
        metadata=_why("`net.ipv4.tcp_keepalive_time`", "Silence after which an idle connection is probed.")
    )
    tcp_keepalive_intvl_s: int = field(metadata=_why("`net.ipv4.tcp_keepalive_intvl`", "Time between those probes."))
    tcp_keepalive_probes: int = field(
        metadata=_why("`net.ipv4.tcp_keepalive_probes`", "Unanswered probes that end the connection.")
    )


FAST = Timers(
    vrrp_advert_s=0.5,
    haproxy_inter_ms=1000,
    haproxy_fastinter_ms=300,
    haproxy_downinter_ms=1000,
    haproxy_rise=2,
    haproxy_fall=2,
    haproxy_check_timeout_ms=2000,
    haproxy_connect_timeout_ms=2000,
    galera_keepalive_s=0.5,
    galera_inactive_check_s=0.25,
    galera_suspect_s=2.0,
    galera_inactive_s=6.0,
    galera_install_s=6.0,
    galera_peer_s=2.0,
    rabbit_heartbeat_s=15,
    rabbit_net_ticktime_s=15,
    rabbit_client_heartbeat_s=15,
    memcache_dead_retry_s=300,
    memcache_socket_timeout_s=0.5,
    etcd_heartbeat_ms=100,
    etcd_election_ms=1000,
    nova_service_down_s=30,
    nova_report_s=5,
    agent_down_s=45,
    agent_report_s=10,
    l3_vrrp_advert_s=1,
    osd_heartbeat_grace_s=10,
    osd_heartbeat_interval_s=2,
    mon_lease_s=3.0,
    tooz_lock_timeout_s=15,
    tcp_retries2=5,
    tcp_keepalive_time_s=30,
    tcp_keepalive_intvl_s=5,
    tcp_keepalive_probes=3,
)

SAFE = Timers(
    vrrp_advert_s=1.0,
    haproxy_inter_ms=2000,
    haproxy_fastinter_ms=1000,
    haproxy_downinter_ms=2000,
    haproxy_rise=2,
    haproxy_fall=3,
    haproxy_check_timeout_ms=5000,
    haproxy_connect_timeout_ms=5000,
    galera_keepalive_s=1.0,
    galera_inactive_check_s=0.5,
    galera_suspect_s=5.0,
    galera_inactive_s=15.0,
    galera_install_s=15.0,
    galera_peer_s=3.0,
    rabbit_heartbeat_s=30,
    rabbit_net_ticktime_s=30,
    rabbit_client_heartbeat_s=30,
    memcache_dead_retry_s=300,
    memcache_socket_timeout_s=1.0,
    etcd_heartbeat_ms=250,
    etcd_election_ms=2500,
    nova_service_down_s=60,
    nova_report_s=10,
    agent_down_s=75,
    agent_report_s=30,
    l3_vrrp_advert_s=2,
    osd_heartbeat_grace_s=20,
    osd_heartbeat_interval_s=6,
    mon_lease_s=5.0,
    tooz_lock_timeout_s=30,
    tcp_retries2=8,
    tcp_keepalive_time_s=60,
    tcp_keepalive_intvl_s=10,
    tcp_keepalive_probes=3,
)

SMALL = Timers(
    vrrp_advert_s=0.7,
    haproxy_inter_ms=2000,
    haproxy_fastinter_ms=500,
    haproxy_downinter_ms=2000,
    haproxy_rise=2,
    haproxy_fall=2,
    haproxy_check_timeout_ms=3500,
    haproxy_connect_timeout_ms=2000,
    galera_keepalive_s=1.0,
    galera_inactive_check_s=0.5,
    galera_suspect_s=5.0,
    galera_inactive_s=15.0,
    galera_install_s=15.0,
    galera_peer_s=3.0,
    rabbit_heartbeat_s=20,
    rabbit_net_ticktime_s=20,
    rabbit_client_heartbeat_s=20,
    memcache_dead_retry_s=300,
    memcache_socket_timeout_s=1.0,
    etcd_heartbeat_ms=500,
    etcd_election_ms=5000,
    nova_service_down_s=45,
    nova_report_s=10,
    agent_down_s=60,
    agent_report_s=15,
    l3_vrrp_advert_s=1,
    osd_heartbeat_grace_s=15,
    osd_heartbeat_interval_s=3,
    mon_lease_s=5.0,
    tooz_lock_timeout_s=20,
    tcp_retries2=6,
    tcp_keepalive_time_s=30,
    tcp_keepalive_intvl_s=5,
    tcp_keepalive_probes=3,
)

_BY_PROFILE = {HaProfile.FAST: FAST, HaProfile.SAFE: SAFE, HaProfile.SMALL: SMALL}


def timers(profile: HaProfile) -> Timers:
    """The column in force under `profile`."""
    return _BY_PROFILE[profile]


@dataclass(frozen=True, slots=True)
class TimerRow:
    """One row of the table: a timer, its three values, what it sets and why."""

    name: str
    fast: float
    safe: float
    small: float
    sets: str
    reason: str


def rows() -> Iterator[TimerRow]:
    """The table, a timer per row, in the order of `Timers`."""
    for timer in fields(Timers):
        values = (getattr(column, timer.name) for column in (FAST, SAFE, SMALL))
        yield TimerRow(timer.name, *values, **timer.metadata)


def silent_backend_s(column: Timers) -> float:
    """Longest time until HAProxy leaves a frozen server, which accepts connections and answers nothing."""
    checks = column.haproxy_fall * column.haproxy_check_timeout_ms
    between = column.haproxy_inter_ms + (column.haproxy_fall - 1) * column.haproxy_fastinter_ms
    return (checks + between) / 1000


def vip_takeover_s(column: Timers) -> float:
    """Longest time until a virtual IP whose holder lost power has moved: 3 adverts and a skew."""
    return 4 * column.vrrp_advert_s


def router_takeover_s(column: Timers) -> float:
    """Longest time until another host takes an HA router: Neutron gives all the same priority, 50."""
    return 3 * column.l3_vrrp_advert_s + (256 - 50) / 256


def vanished_peer_s(column: Timers) -> float:
    """When the kernel ends a connection with unacknowledged data, if retransmission begins at 0.2 s."""
    return float(2 ** (column.tcp_retries2 + 1) - 1) / 5
