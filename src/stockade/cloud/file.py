"""The shape of the cloud file: its keys, what each may hold, and one sentence about each.

These models say nothing about how values must fit together (`rules`) nor what stands in for a missing one
(`resolve`). The sentences are the JSON Schema's and the operator guide's too, so write them for an operator.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from stockade.cloud.file_hosts import HostDefaultsSection, HostSection
from stockade.cloud.file_networks import NetworksSection
from stockade.cloud.model import GuardPolicy, HaProfile, MachineKind, VolumeMode, Writers
from stockade.cloud.scalars import DnsName, FileName, Int, OptionText, Word
from stockade.cloud.section import Section


class VolumesSection(Section):
    """Block storage."""

    mode: VolumeMode = Field(
        default=VolumeMode.ACTIVE_ACTIVE,
        description="active-active: cinder-volume on every controller; active-passive comes with a later version.",
        examples=["active-active"],
    )


class DatabaseSection(Section):
    """MariaDB Galera."""

    writers: Writers = Field(
        default=Writers.ONE,
        description="one: all writes go to one node, so no write conflicts (error 1213); all: to any node.",
        examples=["one"],
    )


class GuardSection(Section):
    """Recovery of VMs."""

    default: GuardPolicy = Field(
        default=GuardPolicy.PET,
        description="What becomes of a VM that says nothing itself when its host dies: pet (moved and "
        "restarted), cattle (deleted and replaced), none (left alone). Not in this version: nothing is moved yet.",
        examples=["pet"],
    )
    reserve_hosts: Int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Computes whose worth of capacity is kept free for recoveries; 1, or 0 with a single compute.",
        examples=[1],
    )


class TuningSection(Section):
    """Sizes."""

    api_workers: Int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Processes of each API on each controller; half the cores, from 2 to 8; in a lab 1.",
        examples=[4],
    )


class TlsSection(Section):
    """HTTPS of the public APIs."""

    certificate: FileName | None = Field(
        default=None,
        description="PEM file: the certificate, then its chain; without it, the cloud's own CA signs one.",
        examples=["tls/cloud.pem"],
    )
    key: FileName | None = Field(default=None, description="PEM file: its private key.", examples=["tls/cloud.key"])
    name: DnsName | None = Field(
        default=None,
        description="DNS name users reach the cloud by; the external vip.",
        examples=["cloud.example.org"],
    )


def _or_empty(value: object) -> object:
    return {} if value is None else value


class CloudFile(Section):
    """A Stockade cloud file."""

    name: str = Field(description="Name of the cloud; in a lab at most 11 characters.", examples=["prod"])
    machines: MachineKind = Field(
        description="Where the machines come from: lab (made on this computer) or ssh (your servers).",
        examples=["lab"],
    )
    hosts: dict[str, Annotated[HostSection, BeforeValidator(_or_empty)]] = Field(
        description="The machines, by host name.", examples=[{"ctl1": {"roles": ["controller", "storage"]}}]
    )
    host_defaults: HostDefaultsSection = Field(
        default_factory=HostDefaultsSection,
        description="What all hosts share; a host's own keys win.",
        examples=[{"nics": {"management": "eno1"}}],
    )
    networks: NetworksSection = Field(
        default_factory=NetworksSection,
        description="The five networks.",
        examples=[{"management": {"cidr": "10.0.0.0/24", "vip": "10.0.0.10"}}],
    )
    volumes: VolumesSection = Field(
        default_factory=VolumesSection, description="Block storage.", examples=[{"mode": "active-active"}]
    )
    database: DatabaseSection = Field(
        default_factory=DatabaseSection, description="MariaDB Galera.", examples=[{"writers": "one"}]
    )
    guard: GuardSection = Field(
        default_factory=GuardSection, description="Recovery of VMs.", examples=[{"default": "pet"}]
    )
    ha_profile: HaProfile | None = Field(
        default=None,
        description="How fast failures are noticed (docs/timers.md): fast, safe, or small for a few shared "
        "cores; "
        "fast, in a lab small.",
        examples=["fast"],
    )
    tuning: TuningSection = Field(default_factory=TuningSection, description="Sizes.", examples=[{"api_workers": 4}])
    tls: TlsSection = Field(
        default_factory=TlsSection,
        description="HTTPS of the public APIs.",
        examples=[{"name": "cloud.example.org"}],
    )
    vrid: Int | None = Field(
        default=None,
        ge=1,
        le=254,
        description="VRRP router id of the internal vip; the external one has the next. No two clouds on "
        "one LAN may "
        "share them. By default made from the name.",
        examples=[51],
    )
    region: Word = Field(default="RegionOne", description="OpenStack region.", examples=["RegionOne"])
    options: dict[str, dict[str, dict[str, OptionText]]] = Field(
        default_factory=dict,
        description="Your own settings: service, section, option. They win over the generated ones.",
        examples=[{"nova": {"DEFAULT": {"cpu_allocation_ratio": "4.0"}}}],
    )
