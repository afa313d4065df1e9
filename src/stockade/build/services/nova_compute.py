"""nova-compute and libvirt on the computes. Neither starts at boot: the agent starts them once they are granted."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import ETC, Context
from stockade.build.ini import HEADER, reasoned, section
from stockade.build.model import Check, Directory, File, Resource, Service, Start, Unit, Where
from stockade.build.services import nova
from stockade.build.services.ceph import CONFIG as CEPH_CONFIG
from stockade.build.services.ceph import client_files
from stockade.build.services.keystone import admin
from stockade.build.uwsgi import daemon_unit, dropin_path, unit_path
from stockade.cloud.model import Host, Role, names

HOLD = f"{ETC}/hold-compute"
"""While it is there the agent does not start a compute's units."""
CONFIG = "/etc/nova/nova-compute.conf"
"""Complete, and not nova.conf: a host may be controller and compute at once."""
SECRETS = {"nova": "libvirt.secret.nova", "cinder": "libvirt.secret"}
"""Ceph client -> name of libvirt's secret for it: Nova's own disks, and Cinder's volumes."""
QEMU_CONFIG = "/etc/libvirt/qemu.conf"
LIBVIRTD_CONFIG = "/etc/libvirt/libvirtd.conf"


def _files(context: Context, host: Host) -> Sequence[File]:
    secret = context.secrets.uuid(SECRETS["nova"])
    kvm, timers = context.hardware[host.name].kvm, context.timers
    settings = [
        *nova.settings(context, host),
        *section("DEFAULT", compute_driver="libvirt.LibvirtDriver"),
        reasoned(
            "DEFAULT",
            "rpc_response_timeout",
            timers.nova_service_down_s - timers.nova_report_s - 5,
            "A report that went to a conductor that died is given up and sent again before the scheduler takes this "
            "host for dead.",
        ),
        reasoned(
            "DEFAULT",
            "resume_guests_state_on_host_boot",
            False,
            "A host that returns must not start VMs that may run elsewhere by now.",
        ),
        reasoned("DEFAULT", "instances_path", "/var/lib/nova/instances", "Local state only; disks are in Ceph."),
        *section("vnc", server_listen=host.management, server_proxyclient_address=host.management),
        *section("vnc", novncproxy_base_url=context.external_url(nova.CONSOLE_PORT, "/vnc_lite.html")),
        *section("libvirt", virt_type="kvm" if kvm else "qemu", images_type="rbd", images_rbd_pool="vms"),
        *([] if kvm else section("libvirt", cpu_mode="none")),
        *section("libvirt", images_rbd_ceph_conf=CEPH_CONFIG, rbd_user="nova", rbd_secret_uuid=secret),
        *section("libvirt", images_rbd_glance_store_name="rbd", disk_cachemodes="network=writeback"),
        *section("libvirt", hw_disk_discard="unmap", inject_partition=-2),
        # The unix socket of Open vSwitch is root's.
        *section("os_vif_ovs", ovsdb_connection="tcp:127.0.0.1:6640"),
        *section("compute", resource_provider_association_refresh=0),
    ]
    qemu = [
        HEADER.rstrip(),
        'user = "libvirt-qemu"',
        'group = "libvirt-qemu"',
        "# Stockade's machines may themselves be in a group of a hierarchy they cannot write.",
        "cgroup_controllers = []",
        'security_driver = "none"' if not kvm else "# security_driver: libvirt's own choice",
    ]
    return [
        File(CONFIG, context.ini("nova", settings), "root", "nova", 0o640, secret=True),
        *client_files(context, "nova", "nova"),
        File(QEMU_CONFIG, "\n".join(qemu) + "\n", mode=0o600),
        File(
            LIBVIRTD_CONFIG,
            f'{HEADER}unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"\n',
        ),
        *(file for client in SECRETS for file in _secret_files(context, client)),
        # Packaged: started by its socket at the first touch, which would be a start without a grant.
        File(
            dropin_path("libvirtd"),
            f"{HEADER}[Service]\nEnvironment=LIBVIRTD_ARGS=\nRestart=always\nRestartSec=1\n",
        ),
        daemon_unit(
            "nova-compute",
            user="nova",
            command=f"/usr/bin/nova-compute --config-file {CONFIG}",
            notify=True,
            install=False,
            after=("libvirtd.service",),
        ),
    ]


def _secret_files(context: Context, client: str) -> tuple[File, File]:
    """libvirt's own store: it reads both files when it starts."""
    uuid, key = context.secrets.uuid(SECRETS[client]), context.secrets.ceph_key(f"ceph.client.{client}")
    return (
        File(f"/etc/libvirt/secrets/{uuid}.xml", _SECRET.format(uuid=uuid, client=client), mode=0o600),
        # The store holds values in base64, which a Ceph key already is.
        File(
            f"/etc/libvirt/secrets/{uuid}.base64",
            key,
            mode=0o600,
            secret=True,
        ),
    )


_SECRET = """<secret ephemeral='no' private='yes'>
  <uuid>{uuid}</uuid>
  <usage type='ceph'>
    <name>client.{client} secret</name>
  </usage>
</secret>
"""


def _health(_context: Context) -> Sequence[Check]:
    return (
        Check("nova-compute", "unit_active", {"units": ["libvirtd", "nova-compute"], "unless": HOLD}, timeout_s=240),
    )


SERVICE = Service(
    name="nova-compute",
    roles=frozenset({Role.COMPUTE}),
    after=("nova", "placement", "neutron-agents", "ceph-osd"),
    packages=(
        "nova-compute",
        "nova-compute-qemu",
        "qemu-system-x86",
        "qemu-utils",
        "qemu-block-extra",
        "libvirt-daemon-system",
        "libvirt-clients",
        "python3-rbd",
        "python3-libvirt",
    ),
    files=_files,
    directories=(
        Directory("/etc/libvirt/secrets", mode=0o700),
        Directory("/var/lib/nova/lock", "nova", "nova"),
        Directory("/var/lib/nova/instances", "nova", "nova"),
    ),
    units=(
        Unit("libvirtd", reads=(QEMU_CONFIG, LIBVIRTD_CONFIG, dropin_path("libvirtd")), start=Start.AGENT),
        Unit(
            "nova-compute",
            reads=(CONFIG, unit_path("nova-compute"), CEPH_CONFIG, "/etc/ceph/ceph.client.nova.keyring"),
            start=Start.AGENT,
        ),
    ),
    health=_health,
)


def _discovery(context: Context, _host: Host) -> Sequence[Resource]:
    hosts = list(names(context.cloud.computes))
    return (Resource("computes in the cell", "cells", {"kind": "hosts", "hosts": hosts}, Where.ONE),)


def _reporting(context: Context) -> Sequence[Check]:
    computes, controllers = list(names(context.cloud.computes)), list(names(context.cloud.controllers))
    expected = {"nova-compute": computes, "nova-conductor": controllers, "nova-scheduler": controllers}
    return (
        Check(
            "nova services",
            "agents_alive",
            {"auth": admin(context), "kind": "compute", "expected": expected},
            Where.ONE,
            180,
        ),
    )


CELL = Service(
    name="nova-cell",
    roles=frozenset({Role.CONTROLLER}),
    after=("nova-compute",),
    resources=_discovery,
    health=_reporting,
)
