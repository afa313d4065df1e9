"""Neutron's agents: Open vSwitch everywhere; L3 with VRRP and conntrackd, DHCP and metadata on the controllers."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import reasoned, render, section
from stockade.build.model import Check, Directory, File, Resource, Service, Unit, Where
from stockade.build.services import neutron
from stockade.build.services.base import OSLO_MESSAGING
from stockade.build.services.keystone import admin
from stockade.build.services.nova import METADATA_PORT
from stockade.build.uwsgi import STEADY_S, daemon_unit, unit_path
from stockade.cloud.model import Host, Plane, Role, Segmentation, names

CONFIG = neutron.CONFIG
AGENT = "/etc/neutron/plugins/ml2/openvswitch_agent.ini"
L3, DHCP, METADATA = (
    "/etc/neutron/l3_agent.ini",
    "/etc/neutron/dhcp_agent.ini",
    "/etc/neutron/metadata_agent.ini",
)
AGENT_UNIT = "neutron-openvswitch-agent"
NETWORK_UNITS = ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent")
OVSDB = "tcp:127.0.0.1:6640"


def datapath(context: Context, host: Host) -> str:
    """The kernel's datapath where its module is, the user-space one elsewhere."""
    return "system" if context.hardware[host.name].openvswitch_module else "netdev"


def _switch_resources(context: Context, host: Host) -> Sequence[Resource]:
    tenant = context.cloud.networks[Plane.TENANT]
    bridges = {"br-int": [], neutron.EXTERNAL_BRIDGE: [host.nics[Plane.EXTERNAL]]}
    if tenant.segmentation is Segmentation.VLAN:
        bridges[neutron.TENANT_BRIDGE] = [host.nics[Plane.TENANT]]
    user_space = datapath(context, host) == "netdev"
    desired = {
        "bridges": bridges,
        "datapath": datapath(context, host),
        "manager": "ptcp:6640:127.0.0.1",
        # The user-space datapath else forwards what the kernel left to the NIC, with a wrong TCP checksum: pings and
        # DHCP pass, and no TCP session does.
        "settings": {"userspace-tso-enable": "true"} if user_space else {},
    }
    return (Resource("bridges", "ovs", desired, Where.EACH),)


def _agent_files(context: Context, host: Host) -> Sequence[File]:
    tenant = context.cloud.networks[Plane.TENANT]
    vlan = tenant.segmentation is Segmentation.VLAN
    mappings = [f"{neutron.EXTERNAL_NET}:{neutron.EXTERNAL_BRIDGE}"]
    if vlan:
        mappings.append(f"{neutron.TENANT_NET}:{neutron.TENANT_BRIDGE}")
    settings = [
        *section(
            "ovs",
            bridge_mappings=",".join(mappings),
            datapath_type=datapath(context, host),
            ovsdb_connection=OVSDB,
        ),
        *([] if vlan else section("ovs", local_ip=host.tenant)),
        *section("securitygroup", firewall_driver="openvswitch", enable_security_group=True),
        *([] if vlan else section("agent", tunnel_types="vxlan", l2_population=True)),
    ]
    files = [
        File(AGENT, context.ini("neutron-openvswitch-agent", settings), "root", "neutron", 0o640),
        # KillMode=process: VMs keep their flows and the agent's helpers live on while it restarts.
        daemon_unit(
            AGENT_UNIT,
            user="neutron",
            command=f"/usr/bin/{AGENT_UNIT} --config-file {CONFIG} --config-file {AGENT}",
            kill_mode="process",
            after=("openvswitch-switch.service",),
            grace_s=15,
        ),
    ]
    if Role.CONTROLLER not in host.roles:
        files.append(
            File(
                CONFIG,
                context.ini("neutron", neutron.common(context, host)),
                "root",
                "neutron",
                0o640,
                secret=True,
            )
        )
    return files


def _network_files(context: Context, _host: Host) -> Sequence[File]:
    timers = context.timers
    l3 = [
        *section("DEFAULT", interface_driver="openvswitch", agent_mode="legacy", ha_vrrp_auth_type="PASS"),
        *section("DEFAULT", ha_vrrp_auth_password=context.secrets.password("neutron.vrrp")[:8]),
        reasoned(
            "DEFAULT",
            "ha_vrrp_advert_int",
            timers.l3_vrrp_advert_s,
            "Takeover in about 3 of these; default 2.",
        ),
        reasoned("DEFAULT", "ha_conntrackd_enabled", True, "Established TCP sessions survive a router's failover."),
        reasoned(
            "DEFAULT",
            "ha_vrrp_health_check_interval",
            0,
            "A gateway that drops ICMP would flip every router.",
        ),
        *section("ovs", ovsdb_connection=OVSDB),
    ]
    dhcp = [
        *section("DEFAULT", interface_driver="openvswitch", enable_isolated_metadata=True, num_sync_threads=4),
        *section("ovs", ovsdb_connection=OVSDB),
    ]
    metadata = [
        *section("DEFAULT", nova_metadata_host=context.cloud.internal_vip, nova_metadata_port=METADATA_PORT),
        *section("DEFAULT", metadata_proxy_shared_secret=context.secrets.password("metadata.secret")),
        *section("DEFAULT", metadata_workers=1 if context.small else 2),
    ]
    files = [
        File(L3, render(l3, context.overrides("neutron-l3-agent")), "root", "neutron", 0o640, secret=True),
        File(DHCP, render(dhcp, context.overrides("neutron-dhcp-agent")), "root", "neutron", 0o640),
        File(
            METADATA,
            render(metadata, context.overrides("neutron-metadata-agent")),
            "root",
            "neutron",
            0o640,
            secret=True,
        ),
    ]
    for name, own in zip(NETWORK_UNITS, (L3, DHCP, METADATA), strict=True):
        # KillMode=process: dnsmasq, keepalived and the metadata proxies go on while their agent restarts. Debian
        # has it for the L3 agent only.
        command = f"/usr/bin/{name} --config-file {CONFIG} --config-file {own}"
        files.append(
            daemon_unit(
                name,
                user="neutron",
                command=command,
                kill_mode="process",
                grace_s=15,
                after=(f"{AGENT_UNIT}.service",),
            )
        )
    return files


def _health(_context: Context) -> Sequence[Check]:
    return (
        Check("open vswitch agent", "unit_active", {"units": ["openvswitch-switch", AGENT_UNIT], "steady_s": STEADY_S}),
    )


def _network_health(context: Context) -> Sequence[Check]:
    everyone, controllers = list(names(context.cloud.hosts)), list(names(context.cloud.controllers))
    expected = {AGENT_UNIT: everyone} | dict.fromkeys(NETWORK_UNITS, controllers)
    return (
        Check("network agent daemons", "unit_active", {"units": list(NETWORK_UNITS), "steady_s": STEADY_S}),
        Check(
            "network agents",
            "agents_alive",
            {"auth": admin(context), "kind": "network", "expected": expected},
            Where.ONE,
            180,
        ),
    )


SWITCH = Service(
    name="openvswitch",
    roles=frozenset({Role.CONTROLLER, Role.COMPUTE}),
    after=("base",),
    packages=("openvswitch-switch",),
    units=(Unit("openvswitch-switch"),),
    resources=_switch_resources,
)
AGENTS = Service(
    name="neutron-agents",
    roles=frozenset({Role.CONTROLLER, Role.COMPUTE}),
    after=("neutron", "openvswitch"),
    packages=("neutron-openvswitch-agent", "openvswitch-switch", OSLO_MESSAGING),
    files=_agent_files,
    directories=(Directory("/var/lib/neutron/lock", "neutron", "neutron"),),
    units=(Unit(AGENT_UNIT, reads=(CONFIG, AGENT, unit_path(AGENT_UNIT))),),
    health=_health,
)
NETWORK = Service(
    name="neutron-network",
    roles=frozenset({Role.CONTROLLER}),
    after=("neutron-agents",),
    packages=("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent", "conntrackd", "keepalived"),
    files=_network_files,
    units=tuple(
        Unit(name, reads=(CONFIG, own, unit_path(name)))
        for name, own in zip(NETWORK_UNITS, (L3, DHCP, METADATA), strict=True)
    ),
    health=_network_health,
)
