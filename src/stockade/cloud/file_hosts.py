"""The shape of `hosts` and `host_defaults` in the cloud file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from stockade.cloud.model import Role
from stockade.cloud.scalars import Address, BmcUrl, Disk, FileName, Int, Nic, Reachable, Word
from stockade.cloud.section import Section


class SshSection(Section):
    """How a host's SSH server is reached."""

    port: Int | None = Field(default=None, ge=1, le=65535, description="TCP port of the SSH server; 22.", examples=[22])
    user: Word | None = Field(
        default=None, description="User to log in as; it must be root (sudo is not used).", examples=["root"]
    )
    key_file: FileName | None = Field(
        default=None,
        description="Private key; without it, your agent and usual keys.",
        examples=["keys/id_ed25519"],
    )
    known_hosts: FileName | None = Field(
        default=None,
        description="Host keys to trust; without it, your own known_hosts.",
        examples=["known_hosts"],
    )


class SharedBmcSection(Section):
    """What many BMCs may have in common."""

    username: Word | None = Field(default=None, description="Its user for Stockade.", examples=["stockade"])
    password_file: FileName | None = Field(
        default=None, description="File with that user's password alone in it.", examples=["secrets/bmc-ctl1"]
    )
    ca_file: FileName | None = Field(
        default=None,
        description="CA its certificate is signed by; without it, the system's.",
        examples=["bmc-ca.pem"],
    )


class BmcSection(SharedBmcSection):
    """A host's baseboard management controller, the one that can cut its power."""

    url: BmcUrl | None = Field(
        default=None, description="Its Redfish service; https, or http.", examples=["https://192.0.2.21"]
    )
    serial: Word | None = Field(
        default=None,
        description="Serial number it must report, so that no other machine is ever fenced in this one's place; "
        "`preflight` compares it.",
        examples=["7XK2M93"],
    )


def _bmc_kind(value: object) -> str:
    return "<word>" if isinstance(value, str) else "<map>"


Bmc = Annotated[
    Annotated[BmcSection, Tag("<map>")] | Annotated[Literal["none"], Tag("<word>")], Discriminator(_bmc_kind)
]
"""A BMC, or the word `none`: a machine without one cannot be fenced by power, so that must be said."""


class NicsSection(Section):
    """A host's NIC on each network."""

    management: Nic | None = Field(default=None, description="NIC with the management address.", examples=["eno1"])
    storage: Nic | None = Field(default=None, description="NIC with the storage address.", examples=["eno2"])
    tenant: Nic | None = Field(
        default=None,
        description="NIC that carries tenant networks; with vlan it is given to Open vSwitch.",
        examples=["eno3"],
    )
    external: Nic | None = Field(
        default=None,
        description="NIC on the external network; it is given to Open vSwitch.",
        examples=["eno4"],
    )


class AddressesSection(Section):
    """A host's address on each network, where the `number` rule does not fit."""

    management: Address | None = Field(default=None, description="Address on management.", examples=["10.0.0.11"])
    storage: Address | None = Field(default=None, description="Address on storage.", examples=["10.0.1.11"])
    tenant: Address | None = Field(default=None, description="Address on tenant.", examples=["10.0.2.11"])
    external: Address | None = Field(
        default=None, description="Address on external; only controllers need one.", examples=["203.0.113.11"]
    )
    out_of_band: Address | None = Field(
        default=None, description="Address of the machine's BMC in the lab.", examples=["10.77.4.11"]
    )


class HostSection(Section):
    """One machine."""

    roles: list[Role] = Field(
        description="What it does: controller (APIs, database, messaging, network nodes), storage (Ceph "
        "disks), "
        "compute (VMs). Any mix.",
        examples=[["controller", "storage"]],
    )
    number: Int | None = Field(
        default=None,
        ge=1,
        le=65534,
        description="Its place in every network: number 11 in 10.0.0.0/24 is 10.0.0.11. In a lab, "
        "controllers count "
        "from 11 and the rest from 31 in the order of the file.",
        examples=[11],
    )
    addresses: AddressesSection = Field(
        default_factory=AddressesSection,
        description="Addresses that do not follow the number.",
        examples=[{"management": "10.0.0.11"}],
    )
    address: Reachable | None = Field(
        default=None,
        description="Name or address SSH connects to. Servers only.",
        examples=["ctl1.example.org"],
    )
    ssh: SshSection = Field(
        default_factory=SshSection,
        description="How SSH logs in. Servers only.",
        examples=[{"key_file": "keys/id_ed25519"}],
    )
    bmc: Bmc | None = Field(
        default=None,
        description="How its power is cut, or the word `none`. Servers only.",
        examples=[{"url": "https://192.0.2.21", "username": "stockade", "password_file": "secrets/bmc-ctl1"}],
    )
    nics: NicsSection = Field(
        default_factory=NicsSection,
        description="Which NIC is on which network. Servers only.",
        examples=[{"management": "eno1"}],
    )
    osd_disks: list[Disk] = Field(
        default_factory=list,
        description="Disks given to Ceph, emptied and used whole; or file:SIZE for a file on the machine's "
        "own disk. "
        "Storage hosts only; file:8G in a lab.",
        examples=[["/dev/disk/by-id/nvme-A1"]],
    )


class HostDefaultsSection(Section):
    """What all hosts share; a host's own keys win. Servers only, except osd_disks."""

    ssh: SshSection = Field(
        default_factory=SshSection,
        description="How SSH logs in everywhere.",
        examples=[{"key_file": "keys/id_ed25519"}],
    )
    bmc: SharedBmcSection = Field(
        default_factory=SharedBmcSection,
        description="What all BMCs share, such as username and ca_file.",
        examples=[{"username": "stockade"}],
    )
    nics: NicsSection = Field(
        default_factory=NicsSection,
        description="NIC names, where all are alike.",
        examples=[{"management": "eno1"}],
    )
    osd_disks: list[Disk] = Field(
        default_factory=list, description="Disks of every storage host.", examples=[["/dev/nvme1n1"]]
    )
