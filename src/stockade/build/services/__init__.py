"""The services, one file each. The build takes them from here; their order is for display only."""

from stockade.build.model import Service
from stockade.build.services import (
    base,
    ceph,
    cinder,
    etcd,
    galera,
    glance,
    haproxy,
    keepalived,
    keystone,
    memcached,
    neutron,
    neutron_agents,
    nova,
    nova_compute,
    placement,
    rabbitmq,
)

SERVICES: tuple[Service, ...] = (
    base.SERVICE,
    etcd.SERVICE,
    galera.SERVICE,
    rabbitmq.SERVICE,
    memcached.SERVICE,
    ceph.MON,
    ceph.OSD,
    haproxy.SERVICE,
    keepalived.SERVICE,
    keystone.SERVICE,
    glance.SERVICE,
    placement.SERVICE,
    neutron_agents.SWITCH,
    neutron.SERVICE,
    neutron_agents.AGENTS,
    neutron_agents.NETWORK,
    nova.SERVICE,
    cinder.SERVICE,
    nova_compute.SERVICE,
    nova_compute.CELL,
)
