"""When and how Fernet keys rotate: the decision alone, without any IO.

Keystone's repository: key 0 is staged (not used to make tokens, but accepted), the highest number is primary, the
others only verify. Rotation happens in two steps, so that no controller ever sees a token whose key it lacks: the
staged key is on every controller *before* it becomes primary, and controllers may promote it at different moments.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """The key set as etcd holds it. `rotated_at` is wall time: it only paces, it decides nothing."""

    revision: int
    keys: Mapping[str, str]
    rotated_at: float = 0.0


def rotate(now: Repository, fresh: str, wall_s: float, max_active: int) -> Repository:
    """The staged key becomes primary, `fresh` is staged, the oldest beyond `max_active` go."""
    numbers = sorted(int(number) for number in now.keys if number != "0")
    primary = (numbers[-1] if numbers else 0) + 1
    keys = dict(now.keys)
    keys[str(primary)] = keys["0"]
    keys["0"] = fresh
    numbers.append(primary)
    # Key 0 counts as active too (keystone's max_active_keys).
    for number in numbers[: max(0, len(numbers) - (max_active - 1))]:
        del keys[str(number)]
    return Repository(now.revision + 1, keys, wall_s)


def due(now: Repository, acknowledged: Mapping[str, int | None], wall_s: float, period_s: float) -> tuple[bool, str]:
    """Whether to rotate now, and why (not). Every controller must hold the present set, staged key included.

    A controller that is away (None) does not hold rotation up: it takes the keys from etcd before its Keystone starts.
    """
    age = wall_s - now.rotated_at
    if age < period_s:
        return False, f"rotated {age:.0f} s ago"
    behind = [name for name, revision in acknowledged.items() if revision is not None and revision < now.revision]
    if behind:
        return False, f"{', '.join(behind)} has not taken revision {now.revision} yet"
    if all(revision is None for revision in acknowledged.values()):
        return False, "no controller has acknowledged any keys"
    return True, f"revision {now.revision} is {age:.0f} s old and on every controller that answers"
