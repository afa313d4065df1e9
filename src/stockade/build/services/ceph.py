"""Ceph: monitors and managers on the controllers, OSDs on the storage hosts, three RBD pools."""

from __future__ import annotations

from collections.abc import Sequence

from stockade.build.context import Context
from stockade.build.ini import HEADER, reasoned, render, section
from stockade.build.model import Check, File, Resource, Service, Unit, Where
from stockade.build.uwsgi import dropin_path
from stockade.cloud.model import Host, Plane, Role

CONFIG = "/etc/ceph/ceph.conf"
ADMIN_KEYRING = "/etc/ceph/ceph.client.admin.keyring"
POOLS = ("images", "volumes", "vms")
CLIENT_CAPS = {
    "glance": {"mon": "profile rbd", "osd": "profile rbd pool=images", "mgr": "profile rbd pool=images"},
    "cinder": {
        "mon": "profile rbd",
        "osd": "profile rbd pool=volumes, profile rbd-read-only pool=images",
        "mgr": "profile rbd pool=volumes",
    },
    "nova": {
        "mon": "profile rbd",
        "osd": "profile rbd pool=vms, profile rbd-read-only pool=images",
        "mgr": "profile rbd pool=vms",
    },
}
ADMIN_CAPS = {"mon": "allow *", "osd": "allow *", "mgr": "allow *", "mds": "allow *"}


def client_files(context: Context, client: str, group: str) -> list[File]:
    """What a host needs to use Ceph as `client`, readable by `group`."""
    key = context.secrets.ceph_key(f"ceph.client.{client}")
    return [
        File(CONFIG, _config(context)),
        File(
            f"/etc/ceph/ceph.client.{client}.keyring",
            f"[client.{client}]\n\tkey = {key}\n",
            group=group,
            mode=0o640,
            secret=True,
        ),
    ]


def _config(context: Context) -> str:
    cloud, timers = context.cloud, context.timers
    monitors = ",".join(f"[v2:{host.storage}:3300,v1:{host.storage}:6789]" for host in cloud.controllers)
    settings = [
        *section("global", fsid=context.secrets.uuid("ceph.fsid"), mon_host=monitors),
        *section("global", mon_initial_members=",".join(host.name for host in cloud.controllers)),
        *section("global", public_network=cloud.networks[Plane.STORAGE].cidr),
        *section(
            "global",
            auth_cluster_required="cephx",
            auth_service_required="cephx",
            auth_client_required="cephx",
        ),
        *section("global", osd_pool_default_size=3),
        reasoned(
            "global",
            "osd_pool_default_min_size",
            2,
            "With one copy lost writes go on; with two lost they wait, rather than trust the last one alone.",
        ),
        # Written into each daemon's file rather than the monitors' store, so that it holds before there is a quorum.
        reasoned(
            "mon",
            "mon_lease",
            timers.mon_lease_s,
            "How long a monitor may answer without hearing its leader.",
        ),
        *section("mon", mon_allow_pool_delete=False, auth_allow_insecure_global_id_reclaim=False),
        *section("mon", mon_data_avail_warn=5, mon_data_avail_crit=2),
        *section("osd", osd_heartbeat_interval=timers.osd_heartbeat_interval_s),
        reasoned(
            "global",
            "osd_heartbeat_grace",
            timers.osd_heartbeat_grace_s,
            "How long a dead OSD stalls writes.",
        ),
        *section("global", log_to_file=False, log_to_stderr=True, err_to_stderr=True, mon_cluster_log_to_file=False),
    ]
    if context.small:
        settings += [
            reasoned(
                "osd",
                "osd_memory_target",
                939524096,
                "The least Ceph allows; the default 4 GiB is a server's.",
            ),
            *section("osd", bluestore_cache_autotune=False, bluestore_cache_size=67108864),
            *section("osd", osd_op_num_shards=2, osd_op_num_threads_per_shard=1),
            # A lab's OSDs share one disk; measuring it at start costs seconds and says nothing.
            *section("osd", osd_mclock_skip_benchmark=True),
        ]
    return render(settings)


def _keyring(context: Context) -> str:
    """The monitors' first keyring: their own key and the admin's."""
    mon, admin = context.secrets.ceph_key("ceph.mon"), context.secrets.ceph_key("ceph.client.admin")
    caps = "".join(f'\tcaps {daemon} = "{rule}"\n' for daemon, rule in ADMIN_CAPS.items())
    return f'[mon.]\n\tkey = {mon}\n\tcaps mon = "allow *"\n[client.admin]\n\tkey = {admin}\n{caps}'


def _relaxed(unit: str) -> File:
    # Packaged: three starts in half an hour, then never again.
    return File(
        dropin_path(unit),
        f"{HEADER}[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=2\n",
    )


def _mon_files(context: Context, host: Host) -> Sequence[File]:
    admin = context.secrets.ceph_key("ceph.client.admin")
    mgr = context.secrets.ceph_key(f"ceph.mgr.{host.name}")
    return [
        File(CONFIG, _config(context)),
        File(ADMIN_KEYRING, f"[client.admin]\n\tkey = {admin}\n", mode=0o600, secret=True),
        File(
            f"/var/lib/ceph/mgr/ceph-{host.name}/keyring",
            f"[mgr.{host.name}]\n\tkey = {mgr}\n",
            "ceph",
            "ceph",
            0o600,
            secret=True,
        ),
        _relaxed("ceph-mon@"),
        _relaxed("ceph-mgr@"),
    ]


def _mon_store(context: Context, host: Host) -> Sequence[Resource]:
    desired = {
        "kind": "mon",
        "id": host.name,
        "fsid": context.secrets.uuid("ceph.fsid"),
        "members": [[each.name, str(each.storage)] for each in context.cloud.controllers],
        "keyring": _keyring(context),
    }
    return (Resource("monitor store", "ceph", desired, Where.EACH, secret=True),)


def _cluster(context: Context, _host: Host) -> Sequence[Resource]:
    secrets = context.secrets
    keys = {
        f"mgr.{host.name}": {
            "key": secrets.ceph_key(f"ceph.mgr.{host.name}"),
            "caps": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
        }
        for host in context.cloud.controllers
    }
    keys |= {
        f"client.{name}": {"key": secrets.ceph_key(f"ceph.client.{name}"), "caps": caps}
        for name, caps in CLIENT_CAPS.items()
    }
    keys["client.bootstrap-osd"] = {
        "key": secrets.ceph_key("ceph.client.bootstrap-osd"),
        "caps": {"mon": "allow profile bootstrap-osd"},
    }
    return (Resource("keys", "ceph", {"kind": "keys", "keys": keys}, Where.ONE, secret=True),)


def _settings(_context: Context, _host: Host) -> Sequence[Resource]:
    settings = [
        # A host's loss must not start copying its data while it may be rebooting.
        ["mon", "mon_osd_down_out_interval", "600"],
    ]
    modules_off = ["restful", "iostat", "nfs"]
    return (
        Resource(
            "settings",
            "ceph",
            {"kind": "settings", "settings": settings, "modules_off": modules_off},
            Where.ONE,
        ),
    )


def _osds(context: Context, host: Host) -> Sequence[Resource]:
    bootstrap = context.secrets.ceph_key("ceph.client.bootstrap-osd")
    return tuple(
        Resource(
            f"OSD on {disk}",
            "ceph",
            {
                "kind": "osd",
                "disk": disk,
                "uuid": context.secrets.uuid(f"ceph.osd-uuid.{host.name}.{disk}.{host.osd_disks[:index].count(disk)}"),
                "key": context.secrets.ceph_key(f"ceph.osd.{host.name}.{disk}.{host.osd_disks[:index].count(disk)}"),
                "bootstrap_keyring": f"[client.bootstrap-osd]\n\tkey = {bootstrap}\n",
            },
            Where.EACH,
            secret=True,
        )
        for index, disk in enumerate(host.osd_disks)
    )


def _osd_files(context: Context, host: Host) -> Sequence[File]:
    admin = context.secrets.ceph_key("ceph.client.admin")
    files = [File(CONFIG, _config(context)), _relaxed("ceph-osd@")]
    if Role.CONTROLLER not in host.roles:
        # `ceph osd new` and ceph-volume need it; monitors' hosts have it already.
        files.append(File(ADMIN_KEYRING, f"[client.admin]\n\tkey = {admin}\n", mode=0o600, secret=True))
    return files


def _pools(context: Context, _host: Host) -> Sequence[Resource]:
    osds = sum(len(host.osd_disks) for host in context.cloud.storage_hosts)
    # About 100 placement groups per OSD over three pools of size 3, as a power of two; few where OSDs are tiny.
    pg_num = 16 if context.small else max(32, 1 << ((osds * 100 // 9).bit_length() - 1))
    desired = {"kind": "pools", "pools": list(POOLS), "size": 3, "min_size": 2, "pg_num": pg_num}
    return (Resource("pools", "ceph", desired, Where.ONE),)


def _mon_health(context: Context) -> Sequence[Check]:
    return (Check("ceph quorum", "ceph_quorum", {"mons": len(context.cloud.controllers)}, Where.ONE),)


def _osd_health(context: Context) -> Sequence[Check]:
    osds = sum(len(host.osd_disks) for host in context.cloud.storage_hosts)
    desired = {"mons": len(context.cloud.controllers), "osds": osds}
    return (Check("ceph", "ceph", desired, Where.ONE, timeout_s=240),)


MON = Service(
    name="ceph-mon",
    roles=frozenset({Role.CONTROLLER}),
    after=("base",),
    packages=("ceph-mon", "ceph-mgr", "ceph-common"),
    files=_mon_files,
    before_start=_mon_store,
    units=(
        # The targets are what starts the daemons at boot.
        Unit("ceph-mon.target"),
        Unit("ceph-mgr.target"),
        Unit("ceph-mon@{host}", reads=(CONFIG, dropin_path("ceph-mon@"))),
        Unit("ceph-mgr@{host}", reads=(CONFIG, dropin_path("ceph-mgr@"))),
    ),
    resources=lambda context, host: (*_cluster(context, host), *_settings(context, host)),
    health=_mon_health,
    quorum=True,
)
OSD = Service(
    name="ceph-osd",
    roles=frozenset({Role.STORAGE}),
    after=("ceph-mon",),
    packages=("ceph-osd", "ceph-common"),
    files=_osd_files,
    # The target's restart is its OSDs'.
    units=(Unit("ceph-osd.target", reads=(CONFIG, dropin_path("ceph-osd@"))),),
    resources=lambda context, host: (*_osds(context, host), *_pools(context, host)),
    health=_osd_health,
    may_stop=lambda _context: (Check("data without this host's OSDs", "ceph_may_stop"),),
    quorum=True,
)
