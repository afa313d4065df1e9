"""Keystone: the service project, service users, roles, and the catalog."""

import time
from typing import Any

from . import checks
from .client import connect

Json = dict[str, Any]
ROLES = ("service", "admin", "member", "reader")
ANSWER_S = 90
"""How long Keystone and HAProxy's checks of it may take after a start on a loaded machine."""
API_TIMEOUT_S = 30
_connections: dict[str, Any] = {}


def check(desired: Json) -> list[str]:
    """What is missing or different of one service's account and catalog entry."""
    return [sentence for sentence, _mend in _differences(desired)]


def apply(desired: Json) -> None:
    """Mend each difference; a deleted and remade project changes ids, so it looks again after each round."""
    _wait(desired["admin"]["auth_url"])
    for _round in range(4):
        differences = _differences(desired)
        if not differences:
            return
        # In order: a project before the users in it, a user before its roles.
        differences[0][1]()
        for _sentence, mend in _differences(desired):
            mend()
    left = check(desired)
    if left:
        raise RuntimeError("keystone still differs: " + "; ".join(left))


def _wait(url: str) -> None:
    """Until Keystone answers behind the VIP: it may have been started a moment ago. Raises after `ANSWER_S`."""
    deadline = time.monotonic() + ANSWER_S
    while not (answer := checks.answer({"name": "keystone", "kind": "http_answers", "args": {"url": url}}))["ok"]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"keystone does not answer: {answer['text']}")
        time.sleep(checks.POLL_S)


def _differences(desired: Json) -> list[tuple[str, Any]]:
    keystone = _keystone(desired)
    project = next((each for each in keystone.projects(domain_id="default") if each.name == "service"), None)
    if project is None:
        return [
            (
                "project service is missing",
                lambda: keystone.create_project(name="service", domain_id="default"),
            )
        ]
    found = _roles(keystone)
    if not found:
        found = _account(keystone, project, desired)
    if desired["endpoint"]:
        found = found + _catalog(keystone, desired["endpoint"])
    return found


def _roles(keystone: Any) -> list[tuple[str, Any]]:
    present = {role.name for role in keystone.roles()}
    return [
        (f"role {name} is missing", lambda name=name: keystone.create_role(name=name))
        for name in ROLES
        if name not in present
    ]


def _account(keystone: Any, project: Any, desired: Json) -> list[tuple[str, Any]]:
    account = desired["account"]
    if not account:
        return []
    name = account["name"]
    user = next((each for each in keystone.users(name=name, domain_id="default")), None)
    if user is None:
        return [
            (
                f"user {name} is missing",
                lambda: keystone.create_user(
                    name=name,
                    password=account["password"],
                    domain_id="default",
                    default_project_id=project.id,
                ),
            )
        ]
    found: list[tuple[str, Any]] = []
    if not user.is_enabled:
        found.append((f"user {name} is disabled", lambda: keystone.update_user(user, enabled=True)))
    elif not _can_log_in(desired["admin"]["auth_url"], account):
        found.append(
            (
                f"user {name} has another password",
                lambda: keystone.update_user(user, password=account["password"]),
            )
        )
    roles = {role.name: role for role in keystone.roles()}
    held = {
        assignment.role["id"] for assignment in keystone.role_assignments(user_id=user.id, scope_project_id=project.id)
    }
    found += [
        (
            f"user {name} lacks role {role}",
            lambda role=role: keystone.assign_project_role_to_user(project, user, roles[role]),
        )
        for role in account["roles"]
        if roles[role].id not in held
    ]
    return found


def _catalog(keystone: Any, endpoint: Json) -> list[tuple[str, Any]]:
    service = next((each for each in keystone.services() if each.type == endpoint["type"]), None)
    if service is None:
        return [
            (
                f"service {endpoint['type']} is not in the catalog",
                lambda: keystone.create_service(type=endpoint["type"], name=endpoint["name"], enabled=True),
            )
        ]
    present = {each.interface: each for each in keystone.endpoints(service_id=service.id)}
    found: list[tuple[str, Any]] = []
    for interface, url in endpoint["urls"].items():
        entry = present.get(interface)
        if entry is None:
            found.append(
                (
                    f"{interface} endpoint of {endpoint['type']} is missing",
                    lambda interface=interface, url=url: keystone.create_endpoint(
                        service_id=service.id, interface=interface, url=url, region_id=endpoint["region"]
                    ),
                )
            )
        elif entry.url != url or not entry.is_enabled:
            found.append(
                (
                    f"{interface} endpoint of {endpoint['type']} is {entry.url}, not {url}",
                    lambda entry=entry, url=url: keystone.update_endpoint(entry, url=url, enabled=True),
                )
            )
    return found


def _can_log_in(auth_url: str, account: Json) -> bool:
    from keystoneauth1 import exceptions, session
    from keystoneauth1.identity import v3

    auth = v3.Password(
        auth_url=auth_url,
        username=account["name"],
        password=account["password"],
        user_domain_id="default",
    )
    try:
        session.Session(auth=auth, timeout=20).get_token()
    except exceptions.Unauthorized:
        return False
    return True


def _keystone(desired: Json) -> Any:
    """The identity API as admin, one session per process."""
    admin = desired["admin"]
    if admin["auth_url"] not in _connections:
        _connections[admin["auth_url"]] = connect(admin, API_TIMEOUT_S).identity
    return _connections[admin["auth_url"]]
