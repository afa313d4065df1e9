"""When operations are sent: drawn from a seed, never dependent on answers. Pure but for the generator it is given."""

from __future__ import annotations

import random
from collections.abc import Iterator

JITTER = 0.2
"""Of a period: enough to fall out of step with every timer of the cloud, and a period still bounds what is missed."""


def arrivals(rate_hz: float, seed: str) -> Iterator[float]:
    """Seconds since the beginning, for ever: one per period, each moved within `JITTER` of it; the phase is random."""
    rng = random.Random(seed)
    period_s = 1 / rate_hz
    phase_s = rng.random() * period_s
    number = 0
    while True:
        yield phase_s + period_s * (number + JITTER * rng.random())
        number += 1
