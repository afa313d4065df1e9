"""This controller's Fernet and credential keys, kept equal to those in etcd; and their rotation.

`--once` brings them up to date and exits: Keystone's unit runs it before it starts. If etcd does not answer, the
keys on disk are used, provided there are any: tokens must not depend on etcd.
"""

import base64
import fcntl
import json
import logging
import os
import pwd
import sys
import tempfile
import threading
import time
from pathlib import Path

from stockade.agent.config import Settings, load
from stockade.agent.etcd import Etcd, Unavailable
from stockade.agent.rotation import Repository, due, rotate

log = logging.getLogger("stockade.agent.keys")

DIRECTORIES = {
    "fernet": Path("/etc/keystone/fernet-keys"),
    "credential": Path("/etc/keystone/credential-keys"),
}
STATE = Path("/var/lib/stockade/keys.json")
OWNER = "keystone"
LOCK = Path("/run/stockade/keys.lock")
LOOP_S = 5.0
ACKNOWLEDGED_S = 60.0
"""How old an acknowledgement may be before its controller counts as away."""


def keep(settings: Settings, stop: threading.Event) -> None:
    """Follow etcd; rotate when due. Whoever's compare-and-put wins has rotated, so no leader is needed."""
    etcd = Etcd(settings.etcd)
    while not stop.wait(LOOP_S):
        try:
            revision = sync(etcd)
            if revision:
                etcd.put(
                    f"/stockade/keys-held/{settings.host}",
                    json.dumps({"revision": revision, "at": time.time()}),
                )
                _rotate_if_due(settings, etcd)
        except Unavailable as error:
            _report(current=False, text=f"etcd does not answer, the keys on disk stay in use: {error}")


def sync(etcd: Etcd) -> int:
    """Make the directories equal to etcd's sets; the Fernet set's revision, 0 if etcd holds none yet."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    # The agent and Keystone's start may both be here; the one with the older answer must not write last.
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _sync(etcd)


def _sync(etcd: Etcd) -> int:
    revision = 0
    for name, directory in DIRECTORIES.items():
        found = etcd.get(f"/stockade/keys/{name}") if directory.exists() else None
        if found is None:
            continue  # before the build has come to Keystone
        wanted = json.loads(found[0])
        _write(directory, wanted["keys"])
        if name == "fernet":
            revision = wanted["revision"]
    if revision:
        _report(current=True, text=f"revision {revision}")
    return revision


def _rotate_if_due(settings: Settings, etcd: Etcd) -> None:
    found = etcd.get("/stockade/keys/fernet")
    if found is None:
        return
    now = Repository(**json.loads(found[0]))
    if not now.rotated_at:
        # The first set's age counts from the first time anyone looks.
        etcd.put_if("/stockade/keys/fernet", json.dumps({**now.__dict__, "rotated_at": time.time()}), found[1])
        return
    acknowledged = {name: _held(etcd, name) for name in settings.controllers}
    yes, why = due(now, acknowledged, time.time(), settings.fernet_rotation_s)
    if not yes:
        return
    fresh = base64.urlsafe_b64encode(os.urandom(32)).decode()
    after = rotate(now, fresh, time.time(), settings.fernet_max_active)
    if etcd.put_if("/stockade/keys/fernet", json.dumps(after.__dict__), found[1]):
        log.info("rotated to revision %s: %s", after.revision, why)


def _held(etcd: Etcd, name: str) -> int | None:
    found = etcd.get(f"/stockade/keys-held/{name}")
    if found is None:
        return None
    held = json.loads(found[0])
    return int(held["revision"]) if time.time() - held["at"] < ACKNOWLEDGED_S else None


def _write(directory: Path, keys: dict[str, str]) -> None:
    """New keys first, surplus ones last: at no moment is a needed key missing.

    Keystone opens whatever is in the directory, so a key is prepared beside it and moved in whole.
    """
    owner = pwd.getpwnam(OWNER)
    prefix = f".new-{directory.name}-"
    for leftover in directory.parent.glob(f"{prefix}*"):  # killed here once; whoever writes holds the lock
        leftover.unlink()
    for number, key in sorted(keys.items(), key=lambda entry: -int(entry[0])):
        path = directory / number
        if path.exists() and path.read_text() == key:
            continue
        descriptor, temporary = tempfile.mkstemp(dir=directory.parent, prefix=prefix)
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
            file.flush()
            os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    for path in directory.iterdir():
        if path.name.isdigit() and path.name not in keys:
            path.unlink()


def _report(*, current: bool, text: str) -> None:
    STATE.parent.mkdir(parents=True, exist_ok=True)
    temporary = STATE.with_suffix(".new")
    temporary.write_text(json.dumps({"current": current, "text": text, "at": time.time()}))
    temporary.replace(STATE)


def main() -> int:
    """Bring the keys up to date once."""
    try:
        if sync(Etcd(load().etcd)):
            return 0
        print("etcd holds no keys yet", file=sys.stderr)
    except Unavailable as error:
        print(f"etcd does not answer: {error}", file=sys.stderr)
    return 0 if (DIRECTORIES["fernet"] / "0").exists() else 1


if __name__ == "__main__":
    if sys.argv[1:] != ["--once"]:
        sys.exit("usage: python3 -m stockade.agent.keys --once")
    sys.exit(main())
