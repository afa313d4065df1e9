"""The documentation made from this package: the page of timers, the tables of the cloud file's guide."""

from __future__ import annotations

import re

from stockade.cloud.explain import flow
from stockade.cloud.fields import walk
from stockade.cloud.rules import RULES
from stockade.cloud.services import SERVICES
from stockade.cloud.timers import (
    FAST,
    SAFE,
    SMALL,
    router_takeover_s,
    rows,
    silent_backend_s,
    vanished_peer_s,
    vip_takeover_s,
)

_BOUNDS = (
    ("A frozen back end is no longer used", silent_backend_s),
    ("A virtual IP has moved (its holder lost power)", vip_takeover_s),
    ("An HA router has moved (its host lost power)", router_takeover_s),
    ("A TCP connection with data under way to a vanished peer has ended", vanished_peer_s),
)


_TIMERS_PAGE = """\
# Timers

<!-- made from src/stockade/cloud/timers.py; see the end of the page -->

`ha_profile` in the cloud file chooses a column. A timer too long is an outage; a timer too short is an outage
too, of healthy machines.

- **fast**: servers with cores to spare on a quiet LAN. The default for servers.
- **safe**: busy or virtual servers, stretched networks. Close to what the projects themselves ship.
- **small**: machines that share a few loaded cores. The default in a lab. What only detects *peers* is slow,
  since there a stalled scheduler looks exactly like a death; what a user waits for stays quick.

## What they add up to

Upper bounds in seconds, by arithmetic; what was measured is in `performance.md`.

| Event | fast | safe | small |
|---|---|---|---|
{bounds}

## Each timer

| Timer | fast | safe | small | Sets | Why |
|---|---|---|---|---|---|
{timers}

## Changing one

Change `src/stockade/cloud/timers.py`, then make this page again:
`STOCKADE_UPDATE_GOLDEN=1 pytest tests/golden/test_cloud_files.py`. A test compares the two.
"""


def timers_page() -> str:
    """`docs/timers.md`."""
    bounds = [
        f"| {event} | {' | '.join(f'{bound(column):.1f}' for column in (FAST, SAFE, SMALL))} |"
        for event, bound in _BOUNDS
    ]
    timers = [
        f"| `{row.name}` | {row.fast:g} | {row.safe:g} | {row.small:g} | {row.sets} | {row.reason} |" for row in rows()
    ]
    return _TIMERS_PAGE.format(bounds="\n".join(bounds), timers="\n".join(timers))


def keys_table() -> str:
    """Every key of the cloud file."""
    lines = ["| Key | Meaning | Example |", "|---|---|---|"]
    for key in walk():
        example = "" if key.section or key.example is None else f"`{flow(key.example)}`"
        lines.append(f"| `{key.path}` | {key.description} | {example} |")
    return "\n".join(lines)


def rules_list() -> str:
    """Every rule."""
    return "\n".join(f"- {rule.sentence}" for rule in RULES)


def services_list() -> str:
    """Every service that takes options."""
    return ", ".join(f"`{service}`" for service in SERVICES)


_MADE = {"keys": keys_table, "rules": rules_list, "services": services_list}


def with_made_parts(page: str) -> str:
    """`page` with everything between `<!-- made: NAME -->` and `<!-- end -->` made anew."""

    def remake(match: re.Match[str]) -> str:
        return f"{match[1]}\n\n{_MADE[match[2]]()}\n\n{match[3]}"

    return re.sub(r"(<!-- made: (\w+) -->).*?(<!-- end -->)", remake, page, flags=re.DOTALL)
