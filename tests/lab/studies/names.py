"""Record flips behind caching resolvers: the presets of resolvers.yaml, with the clients' look-up rates."""

from __future__ import annotations

import numpy as np

from mrsim.population import Population, seen_s
from mrsim.rng import Draws
from mrsim.scenario.loader import loads
from tests.lab.judge import Floats, Row, distribution, half, share
from tests.lab.reading import table

PRESETS = {
    "unbound": "unbound",
    "unbound_pf": "unbound-prefetch",
    "unbound_se": "unbound-serve-expired",
    "bind": "bind",
    "bind_nopf": "bind-no-prefetch",
    "dnsmasq": "dnsmasq",
    "dnsmasq_stale": "dnsmasq-stale",
    # The forwarder takes over what is left of the TTL, so the chain behaves as its upstream.
    "chain_dnsmasq_unbound": "unbound",
}

LATTICE = (
    "cause not established. The data say that flips came at a uniform phase; the cache ages at the flip are uneven all "
    "the same (the last third of an entry's life about a third too often), for which we have no explanation"
)
EXCEPTIONS = {("unbound", 2, "busy"): LATTICE}

TRIALS = 128
POINTS = 1024
SEED = 20261101

_SCENARIO = """
name: one-record
summary: One record behind one kind of resolver.
horizon: 1h
regions: [here, there]
network: {{rtt: {{here/there: 10ms}}}}
clients:
  users:
    near: here
    share: 100%
    resolvers: {{it: {{preset: {preset}, lookups: {rate}/s, share: 100%}}}}
    class: app
    points: {points}
faults: []
"""


def predicted(preset: str, ttl_s: float, rate_per_s: float) -> tuple[Floats, float]:
    """Return times from a change to the first fresh answer, and the chance of no stale answer (nan: not known)."""
    text = _SCENARIO.format(preset=preset, rate=f"{rate_per_s:g}", points=POINTS)
    scenario = loads(text)
    draws = Draws(SEED, 0, TRIALS)
    phases = Population(scenario).phases(draws)
    old = seen_s(phases, "users", np.zeros((TRIALS, 1)), ttl_s).ravel()
    look_up = -np.log1p(-np.random.default_rng(SEED).random(old.size)) / rate_per_s
    resolver = scenario.clients["users"].resolvers["it"]
    none_stale = float(np.mean(np.exp(-rate_per_s * old)))
    if resolver.serve_stale:
        none_stale = 0.0
    elif resolver.prefetch > 0.0 and ttl_s >= resolver.prefetch_from_ttl:
        none_stale = float("nan")
    return old + look_up, none_stale


def study() -> list[Row]:
    """Judge every config, TTL and kind of client."""
    rows = []
    for (config, ttl, client), group in table("dns_flips").groupby(["config", "ttl", "client"]):
        judged = group[half(np.arange(len(group)))]
        sample, none_stale = predicted(PRESETS[config], float(ttl), float(group["rate_per_s"].iloc[0]))
        reason = EXCEPTIONS.get((config, ttl, client), "")
        what = f"{config}, TTL {ttl} s, {client}"
        rows.append(
            distribution(
                "names", f"{what}: first fresh answer", judged["first_fresh_s"].to_numpy(), sample, reason=reason
            )
        )
        if not np.isnan(none_stale):
            none = int((judged["n_stale"] == 0).sum())
            rows.append(share("names", f"{what}: no stale answer", none, len(judged), none_stale))
    return rows
