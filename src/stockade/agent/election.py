"""Who may form a Galera cluster, and who joins: the decision alone, without any IO."""

from collections.abc import Mapping
from dataclasses import dataclass

NEVER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Member:
    """What one member says of itself.

    `uuid` and `seqno` are those on disk (`NEVER`, -1 if it was never part of a cluster); `running` is true while
    a server process exists, `starting` until it is ready; `primary` while it is in a primary component.
    """

    uuid: str = NEVER
    seqno: int = -1
    running: bool = False
    starting: bool = False
    primary: bool = False
    safe_to_bootstrap: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do now, and the sentence that says why."""

    action: str
    """`join`, `form` or `wait`."""
    sentence: str


def decide(me: str, members: Mapping[str, Member | None]) -> Decision:
    """What `me` should do, given every member's word (None: no answer). Order of `members` breaks ties.

    Forming needs every member's word: a member that does not answer may hold newer commits, or be primary
    somewhere we cannot see. All members decide alike from the same words, because none of them runs.
    """
    mine = members[me]
    if mine is None or mine.running:
        return Decision("wait", "this member runs already")
    primaries = [name for name, member in members.items() if member and member.primary]
    if primaries:
        return Decision("join", f"{primaries[0]} is in a primary component")
    silent = [name for name, member in members.items() if member is None]
    if silent:
        return Decision("wait", f"no primary component, and no word from {', '.join(silent)}")
    known = {name: member for name, member in members.items() if member}
    starting = [name for name, member in known.items() if member.starting]
    if starting:
        return Decision("wait", f"{starting[0]} is starting")
    stranded = [name for name, member in known.items() if member.running]
    if stranded:
        # A start without bootstrap can never form a second cluster; it gives the survivor its majority back.
        return Decision("join", f"{stranded[0]} runs without a majority, which it regains when we join")
    unknown = [name for name, member in known.items() if member.uuid != NEVER and member.seqno < 0]
    if unknown:
        return Decision("wait", f"{unknown[0]} cannot tell how far its data goes, and may hold the newest commits")
    histories = {member.uuid for member in known.values() if member.uuid != NEVER}
    if len(histories) > 1:
        return Decision("wait", "members hold different histories; an operator must choose which one lives")
    best = max(
        known,
        key=lambda name: (
            known[name].uuid != NEVER,
            known[name].seqno,
            known[name].safe_to_bootstrap,
            -list(known).index(name),
        ),
    )
    if best != me:
        return Decision("wait", f"{best} holds the newest commits and forms the cluster")
    if not histories:
        return Decision("form", "no member has ever been in a cluster, and this is the first of them")
    return Decision("form", f"this member holds the newest commits ({mine.uuid}:{mine.seqno})")
