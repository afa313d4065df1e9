"""Ceph: a monitor's store, an OSD, keys, pools and settings."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from . import shell

Json = dict[str, Any]
TIMEOUT_S = 60
OSDS = Path("/var/lib/ceph/osd")


def check(desired: Json) -> list[str]:
    """What is missing of one thing of Ceph's; `desired["kind"]` says which."""
    return _CHECKS[desired["kind"]](desired)


def apply(desired: Json) -> None:
    """Make it so."""
    _APPLIES[desired["kind"]](desired)


def _check_mon(desired: Json) -> list[str]:
    return [] if _mon(desired).joinpath("done").exists() else [f"monitor {desired['id']} has no store"]


def _make_mon(desired: Json) -> None:
    store = _mon(desired)
    if store.joinpath("done").exists():
        return
    # A store without its last mark is a half-made one: a run was killed here. Moved aside, never deleted.
    _set_aside(store, f"ceph-mon@{desired['id']}")
    keyring = Path("/run/stockade/mon.keyring")
    monmap = Path("/run/stockade/monmap")
    keyring.parent.mkdir(parents=True, exist_ok=True)
    _write(keyring, desired["keyring"])
    monmap.unlink(missing_ok=True)
    members = [
        part
        for name, address in desired["members"]
        for part in ("--addv", name, f"[v2:{address}:3300,v1:{address}:6789]")
    ]
    shell.run(["monmaptool", "--create", "--clobber", "--fsid", desired["fsid"], *members, str(monmap)])
    _own(monmap)
    store.mkdir(parents=True)
    _own(store)
    shell.run(
        ["ceph-mon", "--mkfs", "-i", desired["id"], "--monmap", str(monmap), "--keyring", str(keyring)],
        user="ceph",
    )
    _write(store / "done", "")
    keyring.unlink()


def _check_keys(desired: Json) -> list[str]:
    present = _keys()
    wrong = []
    for entity, wanted in desired["keys"].items():
        if entity not in present:
            wrong.append(f"key {entity} is missing")
        elif present[entity] != wanted:
            wrong.append(f"key {entity} has another secret or other rights")
    return wrong


def _make_keys(desired: Json) -> None:
    present = _keys()
    for entity, wanted in desired["keys"].items():
        if present.get(entity) == wanted:
            continue
        text = f"[{entity}]\n\tkey = {wanted['key']}\n" + "".join(
            f'\tcaps {daemon} = "{rule}"\n' for daemon, rule in wanted["caps"].items()
        )
        keyring = Path("/run/stockade/import.keyring")
        _write(keyring, text)
        try:
            _ceph("auth", "import", "-i", str(keyring))
        finally:
            keyring.unlink()


def _check_osd(desired: Json) -> list[str]:
    number = _osd_of(desired)
    if number is None:
        return [f"no OSD on {desired['disk']}"]
    wrong = []
    if not shell.ok(["systemctl", "is-enabled", "--quiet", f"ceph-osd@{number}"]):
        wrong.append(f"osd.{number} does not start at boot")
    if not shell.ok(["systemctl", "is-active", "--quiet", f"ceph-osd@{number}"]):
        wrong.append(f"osd.{number} does not run")
    return wrong


def taken(disk: str) -> str:
    """Empty if the disk can be given to an OSD; otherwise why not."""
    if disk.startswith("file:"):
        return ""
    if not Path(disk).is_block_device():
        return "is not a block device"
    (report,) = json.loads(shell.run(["lsblk", "--json", "--output", "NAME,FSTYPE,MOUNTPOINTS,TYPE", disk]))[
        "blockdevices"
    ]
    if report.get("children"):
        names = ", ".join(child["name"] for child in report["children"])
        # The device mapper doubles the dashes of a volume's name, which ends with the OSD's id.
        mine = {path.read_text().strip() for path in OSDS.glob("ceph-*/fsid")}
        known = all(
            any(child["name"].replace("--", "-").endswith(fsid) for fsid in mine) for child in report["children"]
        )
        return "" if known else f"has partitions or volumes: {names}"
    return f"holds a {report['fstype']} file system" if report.get("fstype") else ""


def _make_osd(desired: Json) -> None:
    """One OSD, on a device through ceph-volume, or on a file where the disk is `file:SIZE`."""
    number = _osd_of(desired)
    if number is not None:
        shell.run(["systemctl", "enable", "--now", "--quiet", f"ceph-osd@{number}"])
    elif desired["disk"].startswith("file:"):
        _make_file_osd(desired)
    else:
        # ceph-volume makes a physical volume of whatever it is given, and wipes the signature that was there.
        if why := taken(desired["disk"]):
            raise RuntimeError(f"{desired['disk']} {why}; nothing was changed: give an empty disk, or wipe it yourself")
        _write(Path("/var/lib/ceph/bootstrap-osd/ceph.keyring"), desired["bootstrap_keyring"])
        shell.run(
            ["ceph-volume", "lvm", "create", "--data", desired["disk"], "--osd-fsid", desired["uuid"]], timeout_s=300
        )
        # ceph-volume is content with a disk that holds some other OSD.
        if _osd_of(desired) is None:
            raise RuntimeError(f"{desired['disk']} holds another OSD; nothing was changed: look at it, then zap it")


def _make_file_osd(desired: Json) -> None:
    # The id is asked for by UUID, so a run killed anywhere gets the same one again.
    answer = json.loads(
        _ceph(
            "osd",
            "new",
            desired["uuid"],
            "-i",
            "-",
            "--format",
            "json",
            stdin=json.dumps({"cephx_secret": desired["key"]}),
        )
    )
    number = str(answer["osdid"])
    home = OSDS / f"ceph-{number}"
    _set_aside(home, f"ceph-osd@{number}")
    home.mkdir(parents=True)
    _write(home / "keyring", f"[osd.{number}]\n\tkey = {desired['key']}\n")
    (home / "type").write_text("bluestore\n")
    for path in (home, home / "type"):
        _own(path)
    size = _bytes(desired["disk"].removeprefix("file:"))
    shell.run(
        ["ceph-osd", "-i", number, "--mkfs", "--osd-uuid", desired["uuid"], "--osd-objectstore", "bluestore",
         f"--bluestore_block_size={size}", "--setuser", "ceph", "--setgroup", "ceph"],
        timeout_s=120,
    )  # fmt: skip
    _write(home / "stockade-uuid", desired["uuid"])
    shell.run(["systemctl", "enable", "--now", "--quiet", f"ceph-osd@{number}"])


def _osd_of(desired: Json) -> str | None:
    """Number of the finished OSD of this disk, or None."""
    # `fsid` is there before a file-backed OSD is finished, and a device's block link names its logical volume only.
    mark = "stockade-uuid" if desired["disk"].startswith("file:") else "fsid"
    for home in OSDS.glob("ceph-*"):
        if (home / mark).exists() and (home / mark).read_text().strip() == desired["uuid"]:
            return home.name.removeprefix("ceph-")
    return None


def _check_pools(desired: Json) -> list[str]:
    present = {row["pool_name"]: row for row in json.loads(_ceph("osd", "pool", "ls", "detail", "--format", "json"))}
    wrong = []
    for name in desired["pools"]:
        if name not in present:
            wrong.append(f"pool {name} is missing")
            continue
        pool = present[name]
        for option, value in (("size", desired["size"]), ("min_size", desired["min_size"])):
            if pool[option] != value:
                wrong.append(f"pool {name} has {option} {pool[option]} instead of {value}")
        if "rbd" not in pool["application_metadata"]:
            wrong.append(f"pool {name} is not marked for RBD")
    return wrong


def _make_pools(desired: Json) -> None:
    for name in desired["pools"]:
        _ceph(
            "osd",
            "pool",
            "create",
            name,
            str(desired["pg_num"]),
            str(desired["pg_num"]),
            "replicated",
            "--autoscale-mode=off",
        )
        _ceph("osd", "pool", "set", name, "size", str(desired["size"]))
        _ceph("osd", "pool", "set", name, "min_size", str(desired["min_size"]))
        _ceph("osd", "pool", "application", "enable", name, "rbd")


def _check_settings(desired: Json) -> list[str]:
    present = {
        (row["section"], row["name"]): row["value"] for row in json.loads(_ceph("config", "dump", "--format", "json"))
    }
    wrong = [
        f"{section} {name} is {present.get((section, name), 'not set')} instead of {value}"
        for section, name, value in desired["settings"]
        if present.get((section, name)) != value
    ]
    modules = json.loads(_ceph("mgr", "module", "ls", "--format", "json"))
    return wrong + [f"mgr module {name} is on" for name in desired["modules_off"] if name in modules["enabled_modules"]]


def _make_settings(desired: Json) -> None:
    for section, name, value in desired["settings"]:
        _ceph("config", "set", section, name, value)
    modules = json.loads(_ceph("mgr", "module", "ls", "--format", "json"))
    for name in desired["modules_off"]:
        if name in modules["enabled_modules"]:
            _ceph("mgr", "module", "disable", name)


def _keys() -> dict[str, Json]:
    rows = json.loads(_ceph("auth", "ls", "--format", "json"))["auth_dump"]
    return {row["entity"]: {"key": row["key"], "caps": row["caps"]} for row in rows}


def _ceph(*arguments: str, stdin: str = "") -> str:
    return shell.run(["ceph", "--connect-timeout", "10", *arguments], stdin=stdin, timeout_s=TIMEOUT_S)


def _mon(desired: Json) -> Path:
    return Path(f"/var/lib/ceph/mon/ceph-{desired['id']}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _own(path)


def _set_aside(path: Path, unit: str) -> None:
    """Rename what is at `path`, if anything. Raises if the daemon that owns it runs: then it is no leftover."""
    if shell.ok(["systemctl", "is-active", "--quiet", unit]):
        raise RuntimeError(f"{unit} runs, but {path} has lost its mark; nothing was changed: look at it first")
    if path.exists():
        path.rename(path.with_name(f"set-aside-{path.name}-{time.time_ns()}"))


def _own(path: Path) -> None:
    shutil.chown(path, "ceph", "ceph")


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    return int(text[:-1]) * units[text[-1].upper()] if text[-1].isalpha() else int(text)


_CHECKS = {
    "mon": _check_mon,
    "keys": _check_keys,
    "osd": _check_osd,
    "pools": _check_pools,
    "settings": _check_settings,
}
_APPLIES = {
    "mon": _make_mon,
    "keys": _make_keys,
    "osd": _make_osd,
    "pools": _make_pools,
    "settings": _make_settings,
}
