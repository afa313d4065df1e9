"""The status screen: from every host's answers to one line per mechanism. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from stockade.build.model import Answer

MECHANISMS = {
    "machine": "Machines", "base": "Agents", "etcd": "Coordination (etcd)", "galera": "Database (Galera)",
    "rabbitmq": "Messaging (RabbitMQ)", "memcached": "Cache (memcached)", "ceph-mon": "Storage quorum (Ceph)",
    "ceph-osd": "Storage (Ceph)", "haproxy": "Load balancing (HAProxy)", "keepalived": "Virtual IPs (keepalived)",
    "keystone": "Identity (Keystone)", "glance": "Images (Glance)", "placement": "Placement",
    "neutron": "Network API (Neutron)", "neutron-agents": "Switching (Open vSwitch)",
    "neutron-network": "Routers, DHCP, metadata", "nova": "Compute API (Nova)", "cinder": "Volumes (Cinder)",
    "nova-compute": "Hypervisors", "nova-cell": "Compute services",
}  # fmt: skip


HOLDS = "holds the VIP"
"""What `hostside.checks.vip_held` says of a host that does."""


def with_vips(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """The answers, with a bad one more for each VIP that not exactly one host holds: no host can judge that alone."""
    asked: dict[tuple[str, str], list[str]] = {}
    for answer in answers:
        if answer.text in (HOLDS, "stands by"):
            holders = asked.setdefault((answer.service, answer.name), [])
            holders += [answer.host] if answer.text == HOLDS else []
    wrong = [
        Answer("cloud", service, name, ok=False, text=f"held by {' and '.join(holders) or 'no host'}")
        for (service, name), holders in asked.items()
        if len(holders) != 1
    ]
    return (*answers, *wrong)


def summary(answers: Sequence[Answer]) -> tuple[bool, str, str]:
    """(healthy, the screen, the same as JSON)."""
    services = list(dict.fromkeys(answer.service for answer in answers))
    ordered = sorted(services, key=lambda name: list(MECHANISMS).index(name) if name in MECHANISMS else 99)
    lines = []
    for service in ordered:
        mine = [answer for answer in answers if answer.service == service]
        bad = [answer for answer in mine if not answer.ok]
        title = MECHANISMS.get(service, service)
        if bad:
            lines.append(f"DEGRADED  {title}")
            lines += [f"            {answer.host}: {answer.name}: {answer.text}" for answer in bad]
        else:
            lines.append(f"ok        {title:<26} {_word(mine)}")
    broken = {answer.service for answer in answers if not answer.ok}
    healthy = not broken
    lines.append("")
    lines.append("healthy" if healthy else f"degraded: {len(broken)} of {len(services)} mechanisms")
    data = json.dumps({"healthy": healthy, "answers": [asdict(answer) for answer in answers]}, indent=1)
    return healthy, "\n".join(lines), data


def _word(answers: Sequence[Answer]) -> str:
    """The most telling sentence of a healthy mechanism."""
    holders = [answer.host for answer in answers if answer.text == HOLDS]
    if holders:
        return f"{', '.join(holders)} holds the VIPs"
    texts = list(dict.fromkeys(answer.text for answer in answers))
    hosts = list(dict.fromkeys(answer.host for answer in answers))
    shortest = min(texts, key=len)
    return f"{texts[0] if len(texts) == 1 else shortest} ({', '.join(hosts)})" if len(hosts) > 1 else "; ".join(texts)
