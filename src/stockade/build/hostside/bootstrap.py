"""Keystone's first admin and its own catalog entry."""

import os
from pathlib import Path
from typing import Any

import pymysql

from . import shell
from .database import SOCKET

Json = dict[str, Any]


def check(_desired: Json) -> list[str]:
    """Whether keystone has been bootstrapped."""
    with (
        pymysql.connect(unix_socket=SOCKET, user="root", connect_timeout=5) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM keystone.local_user WHERE name='admin' AND domain_id='default'")
        (count,) = cursor.fetchone()
    return [] if count else ["keystone has no admin yet"]


def apply(desired: Json) -> None:
    """keystone-manage bootstrap, with the password in the environment: arguments are visible to every user."""
    # The keys from etcd first: the agent may not have come round since the directories were made.
    shell.run(["env", "PYTHONPATH=/usr/lib/stockade", "python3", "-m", "stockade.agent.keys", "--once"])
    env = {**os.environ, "OS_BOOTSTRAP_PASSWORD": desired["password"]}
    shell.run(
        [
            "keystone-manage", "bootstrap", "--bootstrap-username", "admin", "--bootstrap-project-name", "admin",
            "--bootstrap-role-name", "admin", "--bootstrap-service-name", "keystone",
            "--bootstrap-region-id", desired["region"], "--bootstrap-admin-url", desired["internal_url"],
            "--bootstrap-internal-url", desired["internal_url"], "--bootstrap-public-url", desired["public_url"],
        ],
        env=env,
        timeout_s=120,
    )  # fmt: skip
    for path in Path("/var/log/keystone").glob("*"):
        # Run as root, because runuser would put the environment's password into its own argv.
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
