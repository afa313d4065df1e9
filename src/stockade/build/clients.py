"""What a user's OpenStack client needs: clouds.yaml and the CA, in the cloud's state directory."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stockade.build import certificates
from stockade.build.secrets import Secrets
from stockade.build.services.keystone import PORT
from stockade.cloud.model import Cloud
from stockade.cloud.paths import state_dir
from stockade.errors import UsageError
from stockade.files import write_whole


def ca_path(cloud: Cloud) -> Path:
    """Where the CA that signed the external certificate is kept."""
    return state_dir(cloud.name) / "ca.pem"


def admin_auth(cloud: Cloud) -> dict[str, Any]:
    """openstacksdk's arguments for an admin connection over the external VIP."""
    secrets = Secrets.load(state_dir(cloud.name) / "secrets.json")
    password = secrets.text("keystone.admin")
    if password is None:
        raise UsageError(f"cloud {cloud.name} has not been built here: `stockade up` makes it")
    entry: dict[str, Any] = {
        "auth": {
            "auth_url": f"https://{cloud.external_name}:{PORT}/v3",
            "username": "admin",
            "password": password,
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": cloud.region,
        "interface": "public",
        "identity_api_version": "3",
    }
    if cloud.certificate is None:
        ca = ca_path(cloud)
        write_whole(ca, certificates.authority(secrets, cloud.name))
        entry["cacert"] = str(ca)
    return entry


def write_clouds_yaml(cloud: Cloud) -> Path:
    """Write clouds.yaml, mode 0600, and return its path. Raises UsageError if the cloud was never built here."""
    path = state_dir(cloud.name) / "clouds.yaml"
    text = StringIO()
    YAML().dump({"clouds": {cloud.name: admin_auth(cloud)}}, text)
    write_whole(path, text.getvalue(), 0o600)
    return path
