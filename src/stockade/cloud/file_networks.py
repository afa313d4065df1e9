"""The shape of `networks` in the cloud file."""

from __future__ import annotations

from pydantic import Field

from stockade.cloud.model import Segmentation
from stockade.cloud.scalars import Address, Cidr, Int, Pool, Vlans
from stockade.cloud.section import Section

_MTU = Field(default=None, ge=1280, le=9216, description="Largest packet; 1500.", examples=[1500])


class ManagementSection(Section):
    """Everything the services say to each other, and the internal APIs."""

    cidr: Cidr | None = Field(default=None, description="The network.", examples=["10.0.0.0/24"])
    vip: Address | None = Field(
        default=None,
        description="Virtual address of the internal APIs, used by nothing else.",
        examples=["10.0.0.10"],
    )
    mtu: Int | None = _MTU


class StorageSection(Section):
    """Ceph."""

    cidr: Cidr | None = Field(default=None, description="The network.", examples=["10.0.1.0/24"])
    mtu: Int | None = _MTU


class TenantSection(Section):
    """The wire under tenants' networks."""

    cidr: Cidr | None = Field(default=None, description="The network.", examples=["10.0.2.0/24"])
    segmentation: Segmentation | None = Field(
        default=None,
        description="How tenant networks are kept apart: vxlan, or vlan on the tenant NIC; vxlan, in a lab vlan.",
        examples=["vxlan"],
    )
    vlans: Vlans | None = Field(
        default=None,
        description="First and last VLAN id for tenant networks, with vlan; 100-199 in a lab.",
        examples=["100-199"],
    )
    mtu: Int | None = _MTU


class ExternalSection(Section):
    """Where users come from: the public APIs and floating addresses."""

    cidr: Cidr | None = Field(default=None, description="The network.", examples=["203.0.113.0/24"])
    vip: Address | None = Field(
        default=None,
        description="Virtual address of the public APIs, used by nothing else.",
        examples=["203.0.113.10"],
    )
    gateway: Address | None = Field(
        default=None,
        description="Its router; without it, VMs reach only this network.",
        examples=["203.0.113.1"],
    )
    pool: Pool | None = Field(
        default=None,
        description="First and last floating address, used by nothing else.",
        examples=["203.0.113.100-203.0.113.199"],
    )
    mtu: Int | None = _MTU


class OutOfBandSection(Section):
    """The BMCs. It must not share switches with management, or one failure takes the fence with the host."""

    cidr: Cidr | None = Field(default=None, description="The network.", examples=["10.0.4.0/24"])
    mtu: Int | None = _MTU


class NetworksSection(Section):
    """The five networks. A lab has defaults for all; for servers all but out_of_band must be given."""

    management: ManagementSection = Field(default_factory=ManagementSection, description="Services and internal APIs.")
    storage: StorageSection = Field(default_factory=StorageSection, description="Ceph.")
    tenant: TenantSection = Field(default_factory=TenantSection, description="Under tenants' networks.")
    external: ExternalSection = Field(default_factory=ExternalSection, description="Public APIs, floating addresses.")
    out_of_band: OutOfBandSection = Field(default_factory=OutOfBandSection, description="BMCs.")
