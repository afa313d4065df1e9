"""Each setting that high availability depends on has its reason written right above it, in the file itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from build_world import CLOUDS, files_of, options, rendered

from stockade.build.model import File

HA_OPTIONS = frozenset(
    {
        # messaging
        "rpc_response_timeout",
        "rabbit_quorum_queue", "rabbit_transient_quorum_queue", "rabbit_stream_fanout", "rabbit_qos_prefetch_count",
        "use_queue_manager", "heartbeat_timeout_threshold", "heartbeat_in_pthread", "kombu_reconnect_splay",
        "rabbit_interval_max", "kombu_missing_consumer_retry_timeout", "rabbit_transient_queues_ttl",
        # database
        "max_retries", "connection_recycle_time", "db_max_retry_interval",
        # caches
        "memcache_pool_dead_retry", "memcache_pool_socket_timeout", "memcache_security_strategy",
        "memcache_dead_retry",
        # identity
        "max_active_keys",
        # network
        "allow_automatic_dhcp_failover", "allow_automatic_l3agent_failover",
        "agent_down_time", "l3_ha", "max_l3_agents_per_router", "dhcp_agents_per_network", "ha_vrrp_advert_int",
        "ha_conntrackd_enabled", "ha_vrrp_health_check_interval",
        # compute and volumes
        "resume_guests_state_on_host_boot", "instances_path", "cluster", "backend_url", "service_down_time",
        # images
        "show_image_direct_url", "worker_self_reference_url",
        # storage
        "osd_pool_default_min_size", "mon_lease", "osd_heartbeat_grace",
    }
)  # fmt: skip
OTHER_FILES = {
    "/etc/rabbitmq/rabbitmq.conf": (
        "cluster_formation.peer_discovery_backend",
        "cluster_partition_handling",
        "heartbeat",
        "mnesia_table_loading_retry_limit",
    ),
    "/etc/mysql/mariadb.conf.d/99-stockade.cnf": (
        "innodb_snapshot_isolation",
        "innodb_flush_log_at_trx_commit",
        "wsrep_sst_method",
        "wait_timeout",
    ),
    "/etc/stockade/sysctl.conf": (
        "net.ipv4.ip_nonlocal_bind",
        "net.ipv4.ip_forward",
        "net.ipv4.tcp_retries2",
        "net.core.somaxconn",
    ),
    "/etc/haproxy/haproxy.cfg": ("timeout connect", "retry-on", "timeout queue", "spread-checks"),
    "/etc/keepalived/keepalived.conf": ("state BACKUP", "unicast_src_ip", "vrrp_garp_master_delay"),
    "/etc/stockade/uwsgi/keystone.ini": ("need-app", "hook-master-start", "listen", "add-header"),
}


def all_files(cloud: str) -> list[File]:
    return [file for bundle in rendered(cloud).values() for file in files_of(bundle).values()]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_ha_option_has_its_reason_above_it(cloud: str) -> None:
    met = set()
    for file in all_files(cloud):
        if not file.path.endswith((".conf", ".ini")) or "/uwsgi/" in file.path or "rabbitmq" in file.path:
            continue
        for (_section, option), (_value, reason) in options(file.content).items():
            if option in HA_OPTIONS:
                met.add(option)
                assert reason, f"{file.path}: {option} does not say why"
    assert met == HA_OPTIONS, "an option of the list is no longer set"


@pytest.mark.parametrize(("path", "starts"), OTHER_FILES.items(), ids=[path.split("/")[-1] for path in OTHER_FILES])
def test_files_in_syntaxes_of_their_own_say_why_too(path: str, starts: tuple[str, ...]) -> None:
    lines = [line.strip() for line in files_of(rendered("lab")["ctl1"])[path].content.splitlines()]
    for start in starts:
        places = [index for index, line in enumerate(lines) if line.startswith(start)]
        assert places, f"{start} is no longer set"
        assert lines[places[0] - 1].startswith("# "), f"{start} does not say why"


def test_drop_ins_and_probes_of_the_packages_weaknesses_stand_in_the_bundles_of_every_controller() -> None:
    for cloud in CLOUDS:
        wanted = set(OTHER_FILES)
        assert wanted <= {file.path for file in files_of(rendered(cloud)["ctl3"]).values()}
