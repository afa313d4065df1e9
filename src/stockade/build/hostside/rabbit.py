"""RabbitMQ: vhosts, users, permissions, and every quorum queue on every member.

Everything goes through definitions: exported, compared, imported. rabbitmqctl's own `add_user` takes a password as
an argument, which every user of the host can see, or from a terminal, which we are not.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from . import shell

Json = dict[str, Any]
TIMEOUT_S = 60
HASHING = "rabbit_password_hashing_sha256"
# Vhost, name and members of every quorum queue, as JSON, in one call: each call costs a second of CPU.
_QUEUES = (
    'io:format("~s", [rabbit_json:encode([[element(2, amqqueue:get_name(Q)), element(4, amqqueue:get_name(Q)), '
    "maps:get(nodes, amqqueue:get_type_state(Q), [])] || Q <- rabbit_amqqueue:list(), "
    "amqqueue:get_type(Q) == rabbit_quorum_queue])])."
)


def check(desired: Json) -> list[str]:
    """What is missing."""
    present = _definitions()
    wrong = []
    for account in desired["accounts"]:
        wrong += _account(present, account)
    if any(user["name"] == "guest" for user in present["users"]):
        wrong.append("user guest is there with its well-known password")
    return wrong + [
        f"queue {name} in {vhost} has no member on {node}" for vhost, name, node in _thin(desired["members"])
    ]


def apply(desired: Json) -> None:
    """Make it so."""
    present = _definitions()
    wrong = [account for account in desired["accounts"] if _account(present, account)]
    if wrong:
        _import(
            {
                "vhosts": [
                    {"name": each["name"], "default_queue_type": "quorum", "metadata": {"default_queue_type": "quorum"}}
                    for each in wrong
                ],
                "users": [
                    {
                        "name": each["name"],
                        "password_hash": _hash(each["password"], os.urandom(4)),
                        "hashing_algorithm": HASHING,
                        "tags": [],
                    }
                    for each in wrong
                ],
                "permissions": [
                    {"user": each["name"], "vhost": each["name"], "configure": ".*", "write": ".*", "read": ".*"}
                    for each in wrong
                ],
            }
        )
    if any(user["name"] == "guest" for user in present["users"]):
        _ctl("delete_user", "guest")
    for node in sorted({node for _vhost, _name, node in _thin(desired["members"])}):
        shell.run(["rabbitmq-queues", "grow", node, "all"], timeout_s=TIMEOUT_S)


def _account(present: Json, account: Json) -> list[str]:
    name = account["name"]
    vhost = next((each for each in present["vhosts"] if each["name"] == name), None)
    user = next((each for each in present["users"] if each["name"] == name), None)
    rights = next((each for each in present["permissions"] if (each["vhost"], each["user"]) == (name, name)), None)
    wrong = []
    if vhost is None:
        wrong.append(f"vhost {name} is missing")
    elif _queue_type(vhost) != "quorum":
        wrong.append(f"vhost {name} makes {_queue_type(vhost)} queues, not quorum queues")
    if user is None:
        wrong.append(f"user {name} is missing")
    elif not _matches(account["password"], user):
        wrong.append(f"user {name} has another password")
    if rights is None or any(rights[kind] != ".*" for kind in ("configure", "write", "read")):
        wrong.append(f"user {name} has not all rights on vhost {name}")
    return wrong


def _queue_type(vhost: Json) -> str:
    return str(vhost.get("default_queue_type") or vhost.get("metadata", {}).get("default_queue_type") or "classic")


def _matches(password: str, user: Json) -> bool:
    salt = base64.b64decode(user["password_hash"])[:4]
    return bool(user["password_hash"] == _hash(password, salt))


def _hash(password: str, salt: bytes) -> str:
    """RabbitMQ's salted form: base64 of the salt and SHA-256 of salt and password (its documentation, Passwords)."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _thin(members: list[str]) -> list[tuple[str, str, str]]:
    """(vhost, queue, node) for each node without a member of a queue: a node that was replaced gets none by itself."""
    text = _ctl("eval", _QUEUES)
    rows = json.loads(text[text.index("[") : text.rindex("]") + 1])
    return [(vhost, name, node) for vhost, name, nodes in rows for node in members if node not in nodes]


def _definitions() -> Json:
    text = _ctl("export_definitions", "-")
    found: Json = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def _import(definitions: Json) -> None:
    path = Path("/run/stockade/definitions.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(definitions, file)
    try:
        # rabbitmqctl gives up root for the user rabbitmq, who must be able to read it.
        path.parent.chmod(0o755)
        shell.run(["chown", "rabbitmq:", str(path)])
        _ctl("import_definitions", str(path))
    finally:
        path.unlink()


def _ctl(*arguments: str) -> str:
    return shell.run(["rabbitmqctl", "--quiet", *arguments], timeout_s=TIMEOUT_S)
