"""When the units of every host were last started: what was restarted, and in which order."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloud_handle import Cloud

from stockade.build.model import Bundle

_SHOW = "systemctl show --timestamp=us+utc -p Id,InvocationID,InactiveExitTimestamp,ActiveEnterTimestamp,ActiveState"
_FORMAT = "%a %Y-%m-%d %H:%M:%S.%f %Z"


@dataclass(frozen=True)
class Start:
    """One start of a unit; times are the wall clock's, which all hosts of a lab share."""

    invocation: str
    began: float
    active: float
    state: str


Starts = Mapping[tuple[str, str], Start]


def starts(cloud: Cloud, bundles: Mapping[str, Bundle]) -> Starts:
    """The last start of every managed unit, by host and name."""
    found: dict[tuple[str, str], Start] = {}
    for host, bundle in bundles.items():
        # Targets only gather services; they are not started in the sense meant here.
        names = sorted(
            {
                unit.name
                for stage in bundle.stages
                for unit in stage.units
                if not unit.oneshot and not unit.name.endswith(".target")
            }
        )
        text = cloud.out(host, f"{_SHOW} {' '.join(f'{name}.service' for name in names)}")
        for name, block in zip(names, text.split("\n\n"), strict=True):
            values = dict(line.split("=", 1) for line in block.splitlines())
            found[host, name] = Start(
                values["InvocationID"],
                _seconds(values["InactiveExitTimestamp"]),
                _seconds(values["ActiveEnterTimestamp"]),
                values["ActiveState"],
            )
    return found


def restarted(before: Starts, after: Starts) -> set[tuple[str, str]]:
    """Host and name of the units that were started anew."""
    return {key for key, start in after.items() if key in before and start.invocation != before[key].invocation}


def readers(bundle: Bundle, paths: Iterable[str]) -> set[str]:
    """Units of the host that read any of `paths`, whether a restart or a reload is due when one changes."""
    wanted = set(paths)
    return {unit.name for stage in bundle.stages for unit in stage.units if wanted & {*unit.reads, *unit.reloads}}


def _seconds(text: str) -> float:
    return datetime.datetime.strptime(text, _FORMAT).replace(tzinfo=datetime.UTC).timestamp() if text else 0.0
