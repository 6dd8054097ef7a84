"""Comparing real studies: what has the same name gets the same draws, so that only what was changed shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mrsim
from mrsim.errors import ResultsError, ScenarioError
from mrsim.rng import Draws
from mrsim.study.compare import Comparison, compare, labels_of
from mrsim.study.results import Results
from mrsim.study.run import run, run_one

ROOT = Path(__file__).parents[2]
BOOKSTORE = mrsim.load(ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml")
DOWNTIME = "downtime_s{service=storefront, op=read, from=us-users}"
COLUMN = "downtime_s{service=storefront,op=read,from=us-users}"


@pytest.fixture(scope="module")
def ttl() -> Comparison:
    """Return the bookstore with a TTL of 60 s against one of 55 s."""
    shorter = BOOKSTORE.with_({"dns.shop.ttl": "55s"})
    return compare(BOOKSTORE, shorter, trials=512, seed=20, workers=1, metrics=[DOWNTIME])


def test_pairing_makes_the_interval_twenty_times_narrower(ttl: Comparison) -> None:
    mean = ttl.contrast(COLUMN, ttl.labels[1]).mean
    assert mean is not None
    sides = [results.values_of(COLUMN) for results in ttl.studies]
    unpaired = 2 * 1.645 * float(np.sqrt(sum(np.var(side, ddof=1) for side in sides) / ttl.n))
    assert unpaired / (mean.high - mean.low) >= 20.0
    assert mean.high < 0.0


def test_no_trial_is_reversed(ttl: Comparison) -> None:
    wins = ttl.contrast(COLUMN, ttl.labels[1]).wins
    assert (wins.higher, wins.undecided) == (0, 0)
    assert wins.lower > 0.99 * ttl.n


def test_every_draw_that_is_not_named_for_dns_is_the_same() -> None:
    """What the database, its probers, its operator and its control do does not depend on a TTL: not by one bit."""
    changed = BOOKSTORE.with_({"dns.shop.ttl": "55s"})
    for trial in range(20):
        (one, _), (other, _) = run_one(BOOKSTORE, 20, trial), run_one(changed, 20, trial)
        assert one.fault_s == other.fault_s
        assert [str(event) for event in one.events] == [str(event) for event in other.events]


def test_the_draws_themselves_are_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is drawn with a TTL of 60 s is drawn with one of 55 s, by the same name and to the same bit."""
    drawn: dict[tuple[str, int], bytes] = {}
    block = Draws.block

    def recorded(self: Draws, name: str, occasion: int = 0) -> np.ndarray:
        values = block(self, name, occasion)
        drawn[name, occasion] = values.tobytes()
        return values

    monkeypatch.setattr(Draws, "block", recorded)
    seen = []
    for scenario in (BOOKSTORE, BOOKSTORE.with_({"dns.shop.ttl": "55s"})):
        drawn.clear()
        run(scenario, trials=64, seed=20, workers=1)
        seen.append(dict(drawn))
    assert seen[0] == seen[1]
    assert {"orders-db/fence", "orders-db/paging", "population/us-users/bind/browser"} <= {name for name, _ in seen[0]}


def test_what_a_ttl_cannot_reach_has_no_effect_in_any_trial() -> None:
    comparison = compare(BOOKSTORE, BOOKSTORE.with_({"dns.shop.ttl": "55s"}), trials=64, seed=1, workers=1)
    contrast = comparison.contrast("data_loss_s{store=orders-db}", comparison.labels[1])
    assert not contrast.differs
    assert contrast.wins.same == 64


def test_a_posture_compared_is_the_posture_run() -> None:
    comparison = compare(BOOKSTORE, BOOKSTORE.with_({"dns.shop.ttl": "30s"}), trials=32, seed=3, workers=1)
    alone = run(BOOKSTORE, trials=32, seed=3, workers=1)
    assert comparison.studies[0].scenario == BOOKSTORE
    for column in alone.trials:
        assert np.array_equal(alone.trials[column], comparison.studies[0].trials[column], equal_nan=True)


def test_every_posture_measures_what_the_budgets_of_any_name() -> None:
    stricter = BOOKSTORE.with_({"budgets": "{'rto{service=orders, op=write, clients=75%}': [p95 < 8min]}"})
    comparison = compare(BOOKSTORE, stricter, trials=32, seed=3, workers=1)
    assert "rto_s{service=orders,op=write,clients=75%,of=affected}" in comparison.columns
    assert comparison.only_in_some == ()


def test_a_file_name_apart_is_named_by_its_settings() -> None:
    variant = BOOKSTORE.with_({"dns.shop.ttl": "30s"})
    assert labels_of([BOOKSTORE, variant]) == ("bookstore-three-region", "dns.shop.ttl=30s")
    assert labels_of([BOOKSTORE, BOOKSTORE]) == ("bookstore-three-region (1)", "bookstore-three-region (2)")


def test_studies_that_do_not_share_their_outages_are_refused() -> None:
    one, other = (run(BOOKSTORE, trials=8, seed=seed, workers=1) for seed in (1, 2))
    with pytest.raises(ResultsError, match="not paired"):
        Comparison(("a", "b"), (one, other))


def test_saved_studies_can_be_compared(tmp_path: Path) -> None:
    for name, ttl in (("a", "60s"), ("b", "30s")):
        run(BOOKSTORE.with_({"dns.shop.ttl": ttl}), trials=40, seed=1, workers=1).save(tmp_path / name)
    loaded = tuple(Results.load(tmp_path / name) for name in ("a", "b"))
    comparison = Comparison(("60 s", "30 s"), loaded)
    assert comparison.contrasts[0].wins.lower == 40
    assert "30 s" in repr(comparison)


@pytest.mark.parametrize(
    ("metric", "message"),
    [("rtoo", "unknown metric 'rtoo'"), ("rto{service=orders, op=write}", "needs the label 'clients'")],
)
def test_a_metric_that_is_none_is_refused_before_any_trial(metric: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        compare(BOOKSTORE, BOOKSTORE, metrics=[metric])


def test_one_scenario_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="at least two"):
        compare(BOOKSTORE)


def test_the_table_is_tidy(ttl: Comparison) -> None:
    table = ttl.table()
    assert list(table["estimand"]) == ["mean", "p50", "p95", "p99"]
    assert list(table["conservative"]) == [False, True, True, True]
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()


def test_a_notebook_shows_it_without_script(ttl: Comparison) -> None:
    html = ttl._repr_html_()
    assert "dns.shop.ttl=55s" in html
    assert "<script" not in html
    hostile = Comparison(("<b>", "&"), ttl.studies, metrics=ttl.metrics)._repr_html_()
    assert "<td><b></td>" not in hostile
