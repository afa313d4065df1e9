"""What the build tells the agent."""

import json
from dataclasses import dataclass
from pathlib import Path

PATH = "/etc/stockade/agent.json"
APPLIED = Path("/var/lib/stockade/applied")
"""The build leaves a file per unit here once everything the unit reads is in place, and takes it away first when it
rewrites any of that. Without it the agent must not start the unit: it would run with half of its settings."""


def ready_to_start(unit: str) -> bool:
    """True if the build has finished with everything `unit` reads."""
    return (APPLIED / unit).exists()


@dataclass(frozen=True)
class Settings:
    """This host's place in the cloud."""

    host: str
    address: str
    port: int
    proxy_port: int
    monitor_port: int
    controller: bool
    compute: bool
    controllers: dict[str, str]
    """Management address of every controller, by name, in the cloud file's order."""
    etcd: tuple[str, ...]
    fernet_rotation_s: float
    fernet_max_active: int


def load(path: str = PATH) -> Settings:
    """The settings at `path`."""
    raw = json.loads(Path(path).read_text())
    return Settings(**{**raw, "etcd": tuple(raw["etcd"])})
