"""Databases, their accounts and their schemas, through the local server's socket as root."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pymysql

from . import packages, shell

Json = dict[str, Any]
SOCKET = "/run/mysqld/mysqld.sock"
SYNC_TIMEOUT_S = 2 * 3600
"""Seconds on an empty database, minutes on a grown one. Ending one half-way does harm: MariaDB cannot undo half a
schema change. So the bound is only there because the services' own retries would wait for ever."""
PRIVILEGES = "ALL PRIVILEGES"


def check(desired: Json) -> list[str]:
    """What is missing of one service's database."""
    wrong = []
    with _connect() as connection, connection.cursor() as cursor:
        present = _column(cursor, "SHOW DATABASES")
        wrong += [f"database {each} is missing" for each in _databases(desired) if each not in present]
        wrong += _account(cursor, desired)
        wrong += _schema(cursor, desired, present)
    return wrong


def apply(desired: Json) -> None:
    """Create what is missing, set password and grants, migrate the schema if it is not the package's."""
    name = desired["name"]
    with _connect() as connection, connection.cursor() as cursor:
        for database in _databases(desired):
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4")
        if _account(cursor, desired):
            cursor.execute(f"CREATE USER IF NOT EXISTS '{name}'@'%%' IDENTIFIED BY %s", (desired["password"],))
            cursor.execute(f"ALTER USER '{name}'@'%%' IDENTIFIED BY %s", (desired["password"],))
            for database in _databases(desired):
                cursor.execute(f"GRANT {PRIVILEGES} ON `{database}`.* TO '{name}'@'%'")
        stale = _schema(cursor, desired, _column(cursor, "SHOW DATABASES"))
    if stale:
        for command in desired["sync"]:
            shell.say(" ".join(command[:3]))
            shell.run(command, user=desired["user"], timeout_s=SYNC_TIMEOUT_S)
        with _connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS stockade")
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS stockade.applied_schema "
                "(service VARCHAR(64) PRIMARY KEY, version VARCHAR(128) NOT NULL, head VARCHAR(255) NOT NULL)"
            )
            cursor.execute(
                "REPLACE INTO stockade.applied_schema VALUES (%s, %s, %s)",
                (name, _version(desired), _head(cursor, desired)),
            )
            connection.commit()


def _account(cursor: Any, desired: Json) -> list[str]:
    name = desired["name"]
    cursor.execute(
        "SELECT JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv WHERE user=%s AND host='%%'",
        (name,),
    )
    row = cursor.fetchone()
    if row is None:
        return [f"account {name} is missing"]
    wrong = []
    if row[0] != _native_hash(desired["password"]):
        wrong.append(f"account {name} has another password")
    cursor.execute("SELECT db FROM mysql.db WHERE user=%s AND host='%%' AND Create_priv='Y' AND Drop_priv='Y'", (name,))
    granted = {entry[0] for entry in cursor.fetchall()}
    wrong += [f"account {name} may not use {each}" for each in _databases(desired) if each not in granted]
    return wrong


def _schema(cursor: Any, desired: Json, present: Sequence[str]) -> list[str]:
    if not desired["sync"] or not set(_databases(desired)) <= set(present):
        return ["schema has never been made"] if desired["sync"] else []
    version, head = _version(desired), _head(cursor, desired)
    try:
        cursor.execute("SELECT version, head FROM stockade.applied_schema WHERE service=%s", (desired["name"],))
        row = cursor.fetchone()
    except pymysql.err.Error:
        row = None
    if row is None:
        return ["schema has never been made"]
    if row != (version, head):
        return [f"schema was made by {row[0]} at {row[1]}, but {version} at {head} is here"]
    return []


def _head(cursor: Any, desired: Json) -> str:
    """What the migrations themselves left behind as their position, over all of the service's databases."""
    heads = []
    for database in _databases(desired):
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema=%s "
            "AND table_name IN ('alembic_version', 'migrate_version')",
            (database,),
        )
        tables = [row[0] for row in cursor.fetchall()]
        if "alembic_version" in tables:
            heads += sorted(_column(cursor, f"SELECT version_num FROM `{database}`.alembic_version"))
    return " ".join(heads)


def _databases(desired: Json) -> list[str]:
    return [desired["database"], *desired["extra"]]


def _version(desired: Json) -> str:
    return packages.versions([desired["package"]]).get(desired["package"], "none")


def _native_hash(password: str) -> str:
    """mysql_native_password's stored form."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def _column(cursor: Any, query: str) -> list[str]:
    cursor.execute(query)
    return [row[0] for row in cursor.fetchall()]


def _connect() -> Any:
    return pymysql.connect(unix_socket=SOCKET, user="root", connect_timeout=5, autocommit=True)
