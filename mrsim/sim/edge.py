"""The authority of an address with a proxy: a request that cannot connect to a region is tried in another one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mrsim.sim.dns import Authority
from mrsim.sim.signals import Signal
from mrsim.trace import INF, NO_EVENT, Change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mrsim.scenario.services import Edge
    from mrsim.sim.dns import Offer
    from mrsim.sim.network import Network
    from mrsim.sim.world import World
    from mrsim.trace import Span

    Way = tuple[str, str]


class _Stretch(NamedTuple):
    """A stretch of time, and the events that began and ended it."""

    start_s: float
    end_s: float
    began_by: int
    ended_by: int


class ProxiedAuthority(Authority):
    """An authority whose proxies, one near each cohort, try a request once more where they cannot connect.

    A proxy knows what its own attempt to connect came to and what the record's checks have told so far, no more: it
    turns to the next region that they hold healthy, which may be lost as well. A region that refuses is left at once;
    one that is silent is given up after a while, so that the first answer from elsewhere comes that much later. What
    answers at all, if with an error, is not tried again.

    Parameters
    ----------
    world, network
        The trial and its paths.
    offer
        The record, and what it may answer.
    edge
        The scenario of its proxies.

    References
    ----------
    Cloudflare Load Balancing documentation, *Adaptive routing*: a single retry at another healthy endpoint on errors
    521 (refused), 522 (timed out) and 523 (unreachable).
    """

    def __init__(self, world: World, network: Network, offer: Offer, edge: Edge) -> None:
        super().__init__(world, offer)
        self._network = network
        self._edge = edge
        self._silent = {region: Signal() for region in offer.regions}
        self._told = [(-INF, NO_EVENT, offer.down)]

    def on_network(self, touched: frozenset[str], cause: int) -> None:
        """React to a change of paths: a region may have begun to refuse, or ended."""
        for region in self._offered:
            if region in touched:
                self._silent[region].set(self._world.now, on=not self._network.refuses(region), event=cause)

    def _on_health(self, region: str, cause: int, *, down: bool) -> None:
        self._told.append((self._world.now, cause, frozenset(self._down)))

    def tries(self, front: Mapping[Way, Sequence[Span]]) -> dict[Way, list[Change]]:
        """Return by (cohort, region) where requests that are sent to the region are answered on the second try.

        Parameters
        ----------
        front
            Per (cohort, region) when connections come about; pairs that are not in it always connect.

        Returns
        -------
        dict
            Changes of the region, '' while there is no second try; pairs without any are left out.
        """
        found = {}
        for (cohort, region), spans in front.items():
            changes = [Change(-INF, "")]
            for failing in self._failing(region, spans):
                for target, at_s, event in self._others(cohort, region, failing):
                    if target != changes[-1].target:
                        changes.append(Change(at_s, target, event))
                if changes[-1].target:
                    changes.append(Change(failing.end_s, "", failing.ended_by))
            if len(changes) > 1:
                found[cohort, region] = changes
        return found

    def _failing(self, region: str, spans: Sequence[Span]) -> Iterator[_Stretch]:
        """Yield when attempts end that did not connect: at once where they are refused, else after the timeout."""
        edge = self._edge
        for closed in _gaps(spans):
            refusals = [part for part in _gaps(self._silent[region].spans) if _meet(part, closed) is not None]
            at_s, event = closed.start_s, closed.began_by
            for refusal in [*refusals, _Stretch(closed.end_s, INF, closed.ended_by, NO_EVENT)]:
                if edge.outlasts and at_s + edge.connect_timeout < refusal.start_s:
                    yield _Stretch(at_s + edge.connect_timeout, refusal.start_s, event, refusal.began_by)
                refused = _meet(refusal, closed)
                if refused is not None:
                    yield refused
                    at_s, event = refused.end_s, refused.ended_by

    def _others(self, cohort: str, region: str, failing: _Stretch) -> Iterator[tuple[str, float, int]]:
        """Yield the next region that is held healthy, as the cohort's proxies prefer them, whenever that may change."""
        known = [told for told in self._told if told[0] <= failing.start_s][-1]
        first = (failing.start_s, failing.began_by, known[2])
        for at_s, event, down in [first, *(one for one in self._told if failing.start_s < one[0] < failing.end_s)]:
            order = (name for name in self._preferences[cohort] if name != region and name not in down)
            yield next(order, ""), at_s, event


def _gaps(spans: Sequence[Span]) -> Iterator[_Stretch]:
    """Yield the times between the spans of a signal that held from the beginning."""
    for span, following in pairwise([*spans, None]):
        if span is not None and span.end_s < INF:
            until, event = (INF, NO_EVENT) if following is None else (following.start_s, following.began_by)
            if until > span.end_s:
                yield _Stretch(span.end_s, until, span.ended_by, event)


def _meet(one: _Stretch, other: _Stretch) -> _Stretch | None:
    """Return what two stretches have in common; None if that is nothing."""
    late = one if one.start_s >= other.start_s else other
    early = one if one.end_s <= other.end_s else other
    if late.start_s >= early.end_s:
        return None
    return _Stretch(late.start_s, early.end_s, late.began_by, early.ended_by)
