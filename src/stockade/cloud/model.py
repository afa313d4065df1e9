"""The cloud as one frozen value: what the cloud file means once every default is filled in.

Nothing here reads files or knows YAML; `stockade.cloud.load` makes a `Cloud` out of a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path


class Role(StrEnum):
    """What a host does for the cloud."""

    CONTROLLER = "controller"
    """APIs, database, messaging, coordination, load balancing, network nodes."""
    STORAGE = "storage"
    """Ceph object storage daemons."""
    COMPUTE = "compute"
    """Runs the VMs."""


class Plane(StrEnum):
    """The networks every host is on; they fail separately."""

    MANAGEMENT = "management"
    STORAGE = "storage"
    TENANT = "tenant"
    EXTERNAL = "external"
    OUT_OF_BAND = "out_of_band"


class MachineKind(StrEnum):
    """Where the machines come from."""

    LAB = "lab"
    SSH = "ssh"


class HaProfile(StrEnum):
    """Which column of the timer table (`stockade.cloud.timers`) is in force."""

    FAST = "fast"
    SAFE = "safe"
    SMALL = "small"
    """For a lab whose machines share a few loaded cores, where the fast timers make false elections."""


class VolumeMode(StrEnum):
    """How cinder-volume is made highly available."""

    ACTIVE_ACTIVE = "active-active"
    ACTIVE_PASSIVE = "active-passive"


class Writers(StrEnum):
    """How many Galera nodes take writes."""

    ONE = "one"
    ALL = "all"


class Segmentation(StrEnum):
    """How tenant networks are kept apart on the wire."""

    VLAN = "vlan"
    VXLAN = "vxlan"


class GuardPolicy(StrEnum):
    """What the guard does with a VM that says nothing itself."""

    PET = "pet"
    """Moved and restarted."""
    CATTLE = "cattle"
    """Deleted and replaced."""
    NONE = "none"
    """Left alone."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What the cloud file says to the guard."""

    default: GuardPolicy = GuardPolicy.PET
    reserve_hosts: int = 0
    """Computes whose worth of capacity is kept free for recoveries."""


@dataclass(frozen=True, slots=True)
class Network:
    """One plane: its addresses and, on management and external, the virtual IP."""

    plane: Plane
    cidr: IPv4Network
    vip: IPv4Address | None = None
    gateway: IPv4Address | None = None
    """Next hop out of the external network, if there is one."""
    pool: tuple[IPv4Address, IPv4Address] | None = None
    """First and last floating address; external network only."""
    segmentation: Segmentation = Segmentation.VXLAN
    """Tenant network only."""
    vlans: tuple[int, int] | None = None
    """First and last VLAN id of tenant networks, when segmentation is vlan."""
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Ssh:
    """How a host is reached."""

    address: str
    port: int = 22
    user: str = "root"
    key_file: Path | None = None
    known_hosts: Path | None = None
    """None: the user's own known_hosts file decides."""


@dataclass(frozen=True, slots=True)
class BmcAddress:
    """Where a host's BMC listens. The password is read from `password_file` when it is needed, never kept."""

    url: str
    username: str
    password_file: Path
    serial: str = ""
    """Serial number the BMC must report; empty: learn it in `preflight`."""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the cloud."""

    name: str
    roles: frozenset[Role]
    addresses: dict[Plane, IPv4Address]
    """An address on every plane the host is on (OUT_OF_BAND is its BMC's)."""
    nics: dict[Plane, str]
    """NIC names; EXTERNAL and TENANT are handed to Open vSwitch bridges when they carry VM traffic."""
    ssh: Ssh
    bmc: BmcAddress | None
    osd_disks: tuple[str, ...] = ()
    """Block devices for Ceph OSDs, or `file:SIZE` for a file-backed one (e.g. `file:10G`)."""

    @property
    def management(self) -> IPv4Address:
        """Address on the management plane."""
        return self.addresses[Plane.MANAGEMENT]

    @property
    def storage(self) -> IPv4Address:
        """Address on the storage plane."""
        return self.addresses[Plane.STORAGE]

    @property
    def tenant(self) -> IPv4Address:
        """Address on the tenant plane."""
        return self.addresses[Plane.TENANT]


@dataclass(frozen=True, slots=True)
class Cloud:
    """A whole cloud, validated. Host order is the file's; it decides nothing but display and VRRP ties."""

    name: str
    machines: MachineKind
    hosts: tuple[Host, ...]
    networks: dict[Plane, Network]
    ha_profile: HaProfile
    volume_mode: VolumeMode
    writers: Writers
    api_workers: int | None
    """Processes per API on each controller; None: half the cores, 2 to 8."""
    region: str
    vrid: int
    """VRRP router id of the internal VIP; the external one is the next number."""
    external_name: str
    """DNS name users reach the cloud by, or the external VIP as text."""
    certificate: Path | None = None
    """PEM with chain for the external VIP; None: the cloud's own CA signs one."""
    certificate_key: Path | None = None
    options: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Operator's own settings: service name -> section -> option -> value, laid over the generated ones."""
    guard: Guard = field(default_factory=Guard)
    source: Path | None = None
    """The file this came from."""

    def with_role(self, role: Role) -> tuple[Host, ...]:
        """Hosts playing `role`, in file order."""
        return tuple(host for host in self.hosts if role in host.roles)

    @property
    def controllers(self) -> tuple[Host, ...]:
        """Hosts playing the controller role, in file order."""
        return self.with_role(Role.CONTROLLER)

    @property
    def computes(self) -> tuple[Host, ...]:
        """Hosts playing the compute role, in file order."""
        return self.with_role(Role.COMPUTE)

    @property
    def storage_hosts(self) -> tuple[Host, ...]:
        """Hosts playing the storage role, in file order."""
        return self.with_role(Role.STORAGE)

    @property
    def internal_vip(self) -> IPv4Address:
        """Address of the internal APIs."""
        return _vip(self.networks[Plane.MANAGEMENT])

    @property
    def external_vip(self) -> IPv4Address:
        """Address users reach the APIs at."""
        return _vip(self.networks[Plane.EXTERNAL])

    def host(self, name: str) -> Host:
        """The host called `name`; KeyError if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


def names(hosts: Iterable[Host]) -> tuple[str, ...]:
    """Host names, in order."""
    return tuple(host.name for host in hosts)


def _vip(network: Network) -> IPv4Address:
    if network.vip is None:
        raise ValueError(f"network {network.plane} has no vip")
    return network.vip
