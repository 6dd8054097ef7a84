"""When a commit is acknowledged: asynchronous, ANY n, FIRST n, and what happens when members go silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrsim.scenario.stores import CommitRule


class Member(NamedTuple):
    """A synchronous standby as its primary sees it.

    ``flowing``: it answers for the latest commits. ``silent``: it is waited for and does not, because it has not been
    dropped yet or because it is still sent what it missed. Neither: it is not connected, or a new connection has not
    caught up yet. ``wait_s``: round trip plus flush.
    """

    region: str
    flowing: bool
    silent: bool
    wait_s: float


class Acknowledgement(NamedTuple):
    """Whether commits are acknowledged now, how long each waits for standbys, and for which; or why they are not.

    ``members`` are those whose answers are the last to be waited for as round trips are, ``among`` all whose answers
    would do: each commit waits for as many of them as there are members.
    """

    possible: bool
    wait_s: float
    members: tuple[str, ...]
    among: tuple[str, ...] = ()
    why: str = ""


_LOCAL = Acknowledgement(possible=True, wait_s=0.0, members=())


def acknowledge(rule: CommitRule, members: Sequence[Member]) -> Acknowledgement:
    """Apply a commit rule to the members in force.

    ANY n waits for the n-th smallest answer of those that flow. FIRST n waits for the slowest of the n members of
    highest priority that are still connected, so one that is connected and silent stalls every commit until the
    sender drops it. Short of members, the rule blocks or goes on with those there are.

    Parameters
    ----------
    rule
        The commit rule.
    members
        Its members in order of priority.

    References
    ----------
    PostgreSQL documentation, *synchronous_standby_names* and section 27.2.8 (Synchronous Replication).
    """
    if rule.any is not None:
        return _any(rule.any, members, degrade=rule.when_short == "degrade")
    if rule.first is not None:
        return _first(rule.first, members, degrade=rule.when_short == "degrade")
    return _LOCAL


def _blocked(answering: int, needed: int) -> Acknowledgement:
    why = f"{answering} of {needed} synchronous standbys answer"
    return Acknowledgement(possible=False, wait_s=0.0, members=(), why=why)


def _any(needed: int, members: Sequence[Member], *, degrade: bool) -> Acknowledgement:
    flowing = sorted(
        (member for member in members if member.flowing), key=lambda member: (member.wait_s, member.region)
    )
    if degrade:
        # The list is rewritten only once the silent ones have been dropped.
        connected = sum(member.flowing or member.silent for member in members)
        needed = min(needed, connected)
        if needed == 0:
            return _LOCAL
    if len(flowing) < needed:
        return _blocked(len(flowing), needed)
    among = tuple(member.region for member in flowing)
    return Acknowledgement(possible=True, wait_s=flowing[needed - 1].wait_s, members=among[:needed], among=among)


def _first(needed: int, members: Sequence[Member], *, degrade: bool) -> Acknowledgement:
    connected = [member for member in members if member.flowing or member.silent]
    if len(connected) < needed:
        if not degrade:
            return _blocked(sum(member.flowing for member in connected), needed)
        needed = len(connected)
        if needed == 0:
            return _LOCAL
    chosen = connected[:needed]
    if not all(member.flowing for member in chosen):
        return _blocked(sum(member.flowing for member in chosen), needed)
    names = tuple(member.region for member in chosen)
    return Acknowledgement(possible=True, wait_s=max(member.wait_s for member in chosen), members=names, among=names)
