"""The cloud's first Fernet and credential keys, put into etcd once; the agents distribute and rotate them."""

import json
from typing import Any

from . import shell

Json = dict[str, Any]
FLAGS = (
    "--cacert=/etc/stockade/ca.pem",
    "--cert=/etc/stockade/etcd-client.pem",
    "--key=/etc/stockade/etcd-client.key",
)


def check(desired: Json) -> list[str]:
    """Key repositories that etcd does not hold yet."""
    return [f"etcd holds no {name} keys" for name in desired["repositories"] if not _get(desired, name)]


def apply(desired: Json) -> None:
    """Put those that are missing. Keys that are there are the agents' business and never overwritten."""
    for name, keys in desired["repositories"].items():
        if not _get(desired, name):
            _etcd(desired, "put", f"/stockade/keys/{name}", stdin=json.dumps({"revision": 1, "keys": keys}))


def _get(desired: Json, name: str) -> str:
    return _etcd(desired, "get", "--print-value-only", f"/stockade/keys/{name}").strip()


def _etcd(desired: Json, *arguments: str, stdin: str = "") -> str:
    return shell.run(["etcdctl", *FLAGS, f"--endpoints={desired['endpoints']}", *arguments], stdin=stdin, timeout_s=20)
