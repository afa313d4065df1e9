"""Neutron's control plane: API, RPC server and periodic workers, on every controller."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import Setting, reasoned, section
from stockade.build.model import Backend, Check, Database, Directory, Endpoint, File, Service, Unit, Where
from stockade.build.uwsgi import daemon_unit, unit_path, uwsgi_api
from stockade.cloud.model import Host, Plane, Role, Segmentation

CONFIG = "/etc/neutron/neutron.conf"
ML2 = "/etc/neutron/plugins/ml2/ml2_conf.ini"
PORT = 9696
EXTERNAL_NET, TENANT_NET = "external", "tenant"
"""Names of the physical networks."""
EXTERNAL_BRIDGE, TENANT_BRIDGE = "br-ex", "br-tenant"
DHCP_AGENTS = 2
RPC_WORKERS = ("neutron-rpc-server", "neutron-periodic-workers")


def common(context: Context, host: Host) -> list[Setting]:
    """neutron.conf as servers and agents alike read it."""
    timers = context.timers
    return [
        *section(
            "DEFAULT",
            core_plugin="ml2",
            host=host.name,
            state_path="/var/lib/neutron",
            auth_strategy="keystone",
        ),
        reasoned(
            "DEFAULT",
            "agent_down_time",
            timers.agent_down_s,
            "When an agent counts as dead; the default is 75.",
        ),
        *context.messaging("neutron", host),
        *context.lock_path("neutron"),
        *section(
            "agent",
            report_interval=timers.agent_report_s,
            root_helper="sudo /usr/bin/neutron-rootwrap /etc/neutron/rootwrap.conf",
        ),
        *section("agent", root_helper_daemon="sudo /usr/bin/neutron-rootwrap-daemon /etc/neutron/rootwrap.conf"),
        *section("oslo_messaging_notifications", driver="noop"),
    ]


def _files(context: Context, host: Host) -> Sequence[File]:
    workers = context.workers(host)
    settings = [
        *common(context, host),
        *section("DEFAULT", service_plugins="router", bind_host=host.management, rpc_workers=workers),
        # A process of its own for the agents' reports pays where there are hundreds of agents.
        *section("DEFAULT", rpc_state_report_workers=0 if context.small else 1),
        *section("DEFAULT", notify_nova_on_port_status_changes=True, notify_nova_on_port_data_changes=True),
        *section("DEFAULT", global_physnet_mtu=context.cloud.networks[Plane.TENANT].mtu),
        reasoned("DEFAULT", "l3_ha", True, "Routers are VRRP pairs; the default is a single agent's."),
        reasoned("DEFAULT", "max_l3_agents_per_router", 3, "With 2, the loss of one leaves no stand-by."),
        reasoned("DEFAULT", "dhcp_agents_per_network", DHCP_AGENTS, "DHCP survives the loss of an agent."),
        reasoned("DEFAULT", "allow_automatic_dhcp_failover", True, "Networks of a dead DHCP agent go to a live one."),
        reasoned("DEFAULT", "allow_automatic_l3agent_failover", True, "Routers of a dead L3 agent go to a live one."),
        *context.database("neutron"),
        *context.token_validation("neutron"),
        *context.auth("nova", "nova", region_name=context.cloud.region, endpoint_type="internal"),
        *context.auth("placement", "placement", region_name=context.cloud.region, endpoint_type="internal"),
        *section("oslo_middleware", enable_proxy_headers_parsing=True),
    ]
    arguments = f"--config-file {CONFIG} --config-file {ML2}"
    unit, ini = uwsgi_api(
        "neutron-api",
        user="neutron",
        bind=f"{host.management}:{PORT}",
        script="/usr/bin/neutron-api",
        processes=max(2, workers),
        pyargv=arguments,
        # Neutron tells its processes of one start apart from those of another by it.
        extra=("start-time = %t",),
    )
    return [
        File(CONFIG, context.ini("neutron", settings), "root", "neutron", 0o640, secret=True),
        File(ML2, context.ini("neutron-ml2", _ml2(context)), "root", "neutron", 0o640),
        unit,
        ini,
        # Debian ships no unit for the periodic workers, and the metapackage does not even pull them in: without
        # them no dead DHCP or L3 agent is ever replaced.
        *(
            daemon_unit(name, user="neutron", command=f"/usr/bin/{name} {arguments}", notify=True, grace_s=15)
            for name in RPC_WORKERS
        ),
    ]


def _ml2(context: Context) -> list[Setting]:
    tenant = context.cloud.networks[Plane.TENANT]
    vlan = tenant.segmentation is Segmentation.VLAN
    settings = [
        *section(
            "ml2",
            type_drivers="flat,vlan,vxlan",
            tenant_network_types=tenant.segmentation,
            mechanism_drivers="openvswitch" if vlan else "openvswitch,l2population",
            extension_drivers="port_security",
            overlay_ip_version=4,
            path_mtu=tenant.mtu,
        ),
        *section("ml2_type_flat", flat_networks=EXTERNAL_NET),
        *section("securitygroup", enable_security_group=True, enable_ipset=True, firewall_driver="openvswitch"),
    ]
    if vlan and tenant.vlans:
        settings += section("ml2_type_vlan", network_vlan_ranges=f"{TENANT_NET}:{tenant.vlans[0]}:{tenant.vlans[1]}")
    else:
        settings += section("ml2_type_vxlan", vni_ranges="1000:99999")
    return settings


def _health(context: Context) -> Sequence[Check]:
    return (
        Check(
            "neutron behind the VIP",
            "http_answers",
            {"url": context.internal_url(PORT, "/healthcheck")},
            Where.ONE,
        ),
        Check("neutron daemons", "unit_active", {"units": list(RPC_WORKERS)}),
    )


SERVICE = Service(
    name="neutron",
    roles=frozenset({Role.CONTROLLER}),
    after=("keystone",),
    packages=("neutron-api", "neutron-rpc-server", "neutron-periodic-workers"),
    files=_files,
    directories=(Directory("/var/lib/neutron/lock", "neutron", "neutron"),),
    units=(
        Unit(
            "neutron-api",
            reads=(CONFIG, ML2, unit_path("neutron-api"), "/etc/stockade/uwsgi/neutron-api.ini"),
            backend="neutron",
        ),
        *(Unit(name, reads=(CONFIG, ML2, unit_path(name))) for name in RPC_WORKERS),
    ),
    database=Database(
        "neutron",
        "neutron",
        (("neutron-db-manage", "--config-file", CONFIG, "--config-file", ML2, "upgrade", "head"),),
        package="neutron-api",
    ),
    account="neutron",
    vhost="neutron",
    endpoint=Endpoint("network", "neutron", PORT),
    backends=(Backend("neutron", PORT),),
    health=_health,
)
