"""Connections to the cloud's own APIs, as admin, over the internal VIP."""

import threading
from typing import Any

Json = dict[str, Any]
AUTH = ("auth_url", "username", "password", "project_name", "user_domain_id", "project_domain_id")
_registering = threading.Lock()


def connect(admin: Json, timeout_s: float) -> Any:
    """A connection with `admin`'s account and region; each request has `timeout_s`. Safe in several threads."""
    import openstack

    cloud = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name=admin["region"],
        interface="internal",
        api_timeout=timeout_s,
        auth={key: admin[key] for key in AUTH},
    )
    # Where prometheus_client is installed (Ceph's manager brings it), openstacksdk registers two metrics per process
    # the first time it needs them, and two threads at once fail with "Duplicated timeseries".
    with _registering:
        cloud.config.get_prometheus_histogram()
        cloud.config.get_prometheus_counter()
    return cloud
