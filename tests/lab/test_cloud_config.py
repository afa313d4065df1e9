"""Every generated configuration passes its own program's judgement, on the machine it is for."""

from __future__ import annotations

import re

import cloud_validator
import pytest
from cloud_handle import Cloud
from cloud_measure import timed
from cloud_validator import RULES, VALIDATE

from stockade.build.model import Bundle
from stockade.cloud.model import Role

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# What oslo.config says of an option that is deprecated or has a value of the wrong type.
JOURNAL = r"Deprecated: Option|ConfigFileValueError|ConfigFileParseError|ParsingError|NoSuchOptError"


def _texts(bundle: Bundle) -> dict[str, str]:
    return {file.path: file.content for stage in bundle.stages for file in stage.files if file.path in RULES}


def test_every_oslo_config_file_passes_the_services_own_validator(cloud: Cloud) -> None:
    """One host of each role runs the validator; the others' files must have the very same options."""
    bundles = cloud.prepare().bundles
    chosen = {cloud.controllers[0], cloud.computes[0]}
    paths = {host: sorted(_texts(bundles[host])) for host in chosen}
    assert set().union(*paths.values()) == set(RULES), "a file without a rule, or a rule without a file"
    wrong: list[str] = []
    with timed("option validators", files=sum(map(len, paths.values()))):
        for host in sorted(chosen):
            answers = cloud.python(VALIDATE, cloud_validator.request(paths[host]), hosts=[host], timeout_s=280)[host]
            wrong += [
                f"{host} {path}: {line}" for path, said in answers.items() for line in cloud_validator.complaints(said)
            ]
    assert wrong == []
    for host, bundle in bundles.items():
        model = cloud.controllers[0] if Role.CONTROLLER in cloud.host(host).roles else cloud.computes[0]
        validated = _texts(bundles[model])
        for path, text in _texts(bundle).items():
            assert cloud_validator.options(text) == cloud_validator.options(validated[path]), (host, path)


def test_no_oslo_config_file_is_without_a_rule(cloud: Cloud) -> None:
    """A service added later must not slip past the test above."""
    for host, bundle in cloud.prepare().bundles.items():
        for file in (file for stage in bundle.stages for file in stage.files):
            oslo = re.search(r"^\[(DEFAULT|oslo_\w+|keystone_authtoken|database)\]$", file.content, re.MULTILINE)
            assert file.path in RULES or not oslo, (host, file.path)


def test_the_validator_does_complain(cloud: Cloud) -> None:
    """The control: an unknown option and a deprecated one are found the same way."""
    host, path = cloud.controllers[0], "/etc/placement/placement.conf"
    copy = "/run/stockade-control.conf"
    cloud.out(host, f"(umask 077; cp {path} {copy}; printf '[placement]\\nno_such_option = 1\\n' >>{copy})")
    try:
        asked = {copy: cloud_validator.request([path])[path]}
        answer = cloud.python(VALIDATE, asked, hosts=[host])[host][copy]
    finally:
        cloud.out(host, f"rm -f {copy}")
    assert any("placement/no_such_option is not part" in line for line in cloud_validator.complaints(answer))


def test_haproxy_and_keepalived_accept_theirs(cloud: Cloud) -> None:
    for host in cloud.controllers:
        said = cloud.sh(host, "haproxy -c -f /etc/haproxy/haproxy.cfg")
        assert said.ok, said
        assert "WARNING" not in said.stderr + said.stdout, (host, said)
        assert "ALERT" not in said.stderr + said.stdout, (host, said)
        said = cloud.sh(host, "keepalived --config-test --use-file=/etc/keepalived/keepalived.conf")
        assert said.ok, (host, said)


def test_kernel_settings_and_unit_files_are_taken(cloud: Cloud) -> None:
    """Settings that no daemon would complain about at once: kernel values as read back, unit files as systemd reads."""
    for host, bundle in cloud.prepare().bundles.items():
        (sysctl,) = [
            file.content for stage in bundle.stages for file in stage.files if file.path == "/etc/stockade/sysctl.conf"
        ]
        wanted = [line.split(" = ") for line in sysctl.splitlines() if " = " in line and not line.startswith("#")]
        names = " ".join(name for name, _value in wanted)
        found = cloud.out(host, f"sysctl --values {names}").splitlines()
        assert [" ".join(value.split()) for value in found] == [value for _name, value in wanted], host
        units = sorted(
            {
                file.path
                for stage in bundle.stages
                for file in stage.files
                if file.path.startswith("/etc/systemd/system/") and file.path.endswith(".service")
            }
        )
        said = cloud.sh(host, f"systemd-analyze verify --recursive-errors=no {' '.join(units)}")
        ours = [line for line in (said.stdout + said.stderr).splitlines() if "/etc/systemd/system/" in line]
        assert ours == [], host


def test_journals_hold_no_complaint_about_an_option(cloud: Cloud) -> None:
    """Values too: a wrong type is found when the option is read, and says so in the journal."""
    # As the running daemons see it: each one's lines since its own last start.
    script = f"""
for unit in $(systemctl list-units --type=service --state=running --plain --no-legend | cut -d' ' -f1); do
  id=$(systemctl show --property=InvocationID --value $unit)
  [ -n "$id" ] || continue
  journalctl _SYSTEMD_INVOCATION_ID=$id --no-pager -o cat --grep '{JOURNAL}' --quiet | sed "s/^/$unit: /" | head -5
done; true"""
    for host, text in cloud.everywhere(["bash", "-c", script], timeout_s=180).items():
        assert text.strip() == "", host
