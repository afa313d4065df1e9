"""The services' own option validator, run on the machines over the files they really have."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MIDDLEWARE = "keystonemiddleware.auth_token oslo.middleware oslo.middleware.http_proxy_to_wsgi"
_COMMON = f"{_MIDDLEWARE} oslo.log oslo.policy oslo.db oslo.messaging oslo.concurrency oslo.service.service"


@dataclass(frozen=True)
class Rule:
    """How to validate one file: the samples its options must be in."""

    namespaces: str
    as_section: Mapping[str, str] = field(default_factory=dict)
    """Sections that an operator names: which section of the sample holds their options."""
    plugin_options: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Options no sample lists although they are read: by section, each justified where it is named."""


# keystoneauth1's password plugin registers them when it is loaded; cinder's sample does not list [nova]'s.
KEYSTONEAUTH = frozenset(
    ["auth_type", "auth_url", "project_domain_name", "user_domain_name", "project_name", "username", "password"]
)
# glance registers the filesystem driver's options for its two reserved stores at start, under these names.
RESERVED_STORES = dict.fromkeys(("os_glance_staging_store", "os_glance_tasks_store"), "glance_store")

RULES: Mapping[str, Rule] = {
    "/etc/keystone/keystone.conf": Rule(f"keystone {_COMMON} oslo.cache"),
    "/etc/glance/glance-api.conf": Rule(
        f"glance.api glance.store glance.multi_store {_COMMON}",
        as_section={"rbd": "glance.store.rbd.store", **RESERVED_STORES},
    ),
    "/etc/placement/placement.conf": Rule(f"placement.conf {_COMMON}"),
    "/etc/nova/nova.conf": Rule(f"nova.conf {_COMMON} oslo.cache os_vif"),
    "/etc/nova/nova-compute.conf": Rule(f"nova.conf {_COMMON} oslo.cache os_vif"),
    "/etc/neutron/neutron.conf": Rule(
        f"neutron neutron.agent neutron.db nova.auth ironic.auth placement.auth neutron.base.agent {_COMMON}"
    ),
    "/etc/neutron/plugins/ml2/ml2_conf.ini": Rule("neutron.ml2"),
    "/etc/neutron/plugins/ml2/openvswitch_agent.ini": Rule("neutron.ml2.ovs.agent"),
    "/etc/neutron/l3_agent.ini": Rule("neutron.l3.agent neutron.base.agent neutron.ml2.ovs.agent"),
    "/etc/neutron/dhcp_agent.ini": Rule("neutron.dhcp.agent neutron.base.agent neutron.ml2.ovs.agent"),
    "/etc/neutron/metadata_agent.ini": Rule("neutron.metadata.agent"),
    "/etc/cinder/cinder.conf": Rule(
        f"cinder {_COMMON} oslo.service.wsgi",
        as_section={"rbd": "backend_defaults"},
        # Of [service_user] the sample lists the password plugin's options, but not what chooses the plugin.
        plugin_options={"nova": KEYSTONEAUTH, "service_user": frozenset({"auth_type"})},
    ),
}

# Answers, per file, the validator's complaints. Copies of files that hold secrets are root's, and removed.
VALIDATE = """
import json, os, pathlib, re, subprocess, sys
asked = json.load(sys.stdin)
answers = {}
place = pathlib.Path("/run/stockade-validate.conf")
quiet = re.compile(r"pyroute2|[Nn]ormaliz")
for path, rule in asked.items():
    lines, section = [], ""
    for line in pathlib.Path(path).read_text().splitlines():
        head = re.fullmatch(r"\\\\[(.+)\\\\]", line.strip())
        if head:
            section = head[1]
            line = "[%s]" % rule["as_section"].get(section, section)
        option = line.partition("=")[0].strip()
        if option in rule["plugin_options"].get(section, []):
            continue
        lines.append(line)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\\\\n".join(lines) + "\\\\n")
    argv = ["oslo-config-validator", "--input-file", str(place)]
    for name in rule["namespaces"].split():
        argv += ["--namespace", name]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    finally:
        place.unlink()
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not quiet.search(line)]
    answers[path] = {"returncode": done.returncode, "said": said}
json.dump(answers, sys.stdout)
""".replace("\\\\", "\\")


def request(paths: list[str]) -> dict[str, Any]:
    """What `VALIDATE` reads."""
    return {
        path: {
            "namespaces": RULES[path].namespaces,
            "as_section": dict(RULES[path].as_section),
            "plugin_options": {name: sorted(options) for name, options in RULES[path].plugin_options.items()},
        }
        for path in paths
    }


def complaints(answer: Mapping[str, Any]) -> list[str]:
    """Lines that name an option: unknown or deprecated. Empty means that the file is clean."""
    found = [line for line in answer["said"] if "ERROR" in line or "eprecated" in line]
    if answer["returncode"] and not found:
        found = [f"the validator failed: {answer['said'][-5:]}"]
    return found


def options(text: str) -> frozenset[tuple[str, str]]:
    """Section and name of every option in a file."""
    parser = configparser.RawConfigParser(strict=False, default_section="-none-", comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return frozenset((section, option) for section in parser.sections() for option in parser.options(section))
