"""Services whose settings the operator may add to, under `options` of the cloud file."""

from __future__ import annotations

SERVICES = (
    "cinder",
    "glance",
    "keystone",
    "neutron",
    "neutron-dhcp-agent",
    "neutron-l3-agent",
    "neutron-metadata-agent",
    "neutron-ml2",
    "neutron-openvswitch-agent",
    "nova",
    "placement",
)
"""Each the name of one configuration file, as `build/services` asks for its options; a test compares the two."""
