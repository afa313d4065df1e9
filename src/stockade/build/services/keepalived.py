"""keepalived: the internal and the external VIP, moving together, never back by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from stockade.build.context import MONITOR_PORT, Context
from stockade.build.ini import HEADER
from stockade.build.model import Check, File, Service, Unit
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Plane, Role

CONFIG = "/etc/keepalived/keepalived.conf"


def _files(context: Context, host: Host) -> Sequence[File]:
    cloud = context.cloud
    text = f"""{HEADER}global_defs {{
    router_id {host.name}
    vrrp_version 3
    script_user root
    enable_script_security
    # Ahead of everything that computes: a busy holder that sends its adverts late would lose the VIPs.
    vrrp_rt_priority 20
    vrrp_no_swap
    # Stale ARP entries are the usual reason for a VIP that moved but does not answer.
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
    vrrp_garp_master_refresh 30
}}

vrrp_script haproxy_answers {{
    # Asks HAProxy itself: a process that exists may hang.
    script "/usr/bin/curl --silent --fail --max-time 1 --output /dev/null http://127.0.0.1:{MONITOR_PORT}/alive"
    interval 1
    timeout 2
    fall 2
    rise 3
    init_fail
}}

vrrp_sync_group vips {{
    group {{
        internal
        external
    }}
    track_script {{
        haproxy_answers
    }}
}}

{_instance("internal", context, host, Plane.MANAGEMENT, cloud.internal_vip, cloud.vrid)}
{_instance("external", context, host, Plane.EXTERNAL, cloud.external_vip, cloud.vrid + 1)}"""
    # Packaged: no Restart, so a crash would take this node out of the race for good.
    restart = f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1\n"
    return [File(CONFIG, text), File(dropin_path("keepalived"), restart)]


def _instance(name: str, context: Context, host: Host, plane: Plane, vip: IPv4Address, vrid: int) -> str:
    controllers = context.cloud.controllers
    # Close together: VRRP's skew makes distant priorities slower to take over.
    priority = 100 + 10 * (len(controllers) - controllers.index(host))
    peers = "\n".join(f"        {each.addresses[plane]}" for each in context.cloud.controllers if each != host)
    interface = context.interface(host, plane)
    prefix = context.cloud.networks[plane].cidr.prefixlen
    return f"""vrrp_instance {name} {{
    # All BACKUP and nopreempt: a returning node does not interrupt a second time.
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id {vrid}
    priority {priority}
    advert_int {context.timers.vrrp_advert_s}
    # Switches and clouds drop multicast.
    unicast_src_ip {host.addresses[plane]}
    unicast_peer {{
{peers}
    }}
    virtual_ipaddress {{
        {vip}/{prefix} dev {interface}
    }}
}}
"""


def _health(context: Context) -> Sequence[Check]:
    return (
        Check("keepalived", "unit_active", {"units": ["keepalived"]}),
        Check("internal VIP", "vip_held", {"address": str(context.cloud.internal_vip)}),
        Check("external VIP", "vip_held", {"address": str(context.cloud.external_vip)}),
    )


SERVICE = Service(
    name="keepalived",
    roles=frozenset({Role.CONTROLLER}),
    after=("haproxy",),
    packages=("keepalived", "curl"),
    files=_files,
    units=(Unit("keepalived", reads=(dropin_path("keepalived"),), reloads=(CONFIG,)),),
    health=_health,
)
