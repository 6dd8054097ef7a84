"""The shared strategy draws all of the language: a law says nothing of a feature that no generated scenario has."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seed_of_examples

from tests.properties.language import Language
from tests.strategies import Data, scenario_data

BATCH, MOST = 50, 60
"""Scenarios at a time, and how many times at most: Hypothesis draws variations of what it drew before."""
NEVER_DRAWN = {
    ".budgets": "they judge a study; of a trial they change nothing but which columns there are (law 8 adds one)",
}
"""Fields and words that no generated scenario has, each with the reason."""


def test_every_field_and_every_word_of_the_language_is_drawn() -> None:
    """No false alarm: the scenarios are the same in every run, and change with the strategy alone.

    Drawing ends once everything has been drawn, which takes about 1,000 scenarios. After a change of the strategy a
    word that one scenario in 300 has is missed in all 3,000 with a chance of 5e-5; draw such a word more often.
    """
    language = Language()
    everything = language.all_of_it()
    used: set[str] = set()
    for number in range(MOST):
        used |= used_by_some(language, number)
        if everything <= used | NEVER_DRAWN.keys():
            break
    assert used <= everything
    missing = everything - used - NEVER_DRAWN.keys()
    assert not missing, f"tests/strategies.py and tests/seldom.py never draw {', '.join(sorted(missing))}"
    assert not used & NEVER_DRAWN.keys(), "these are drawn: take them off the list"


def used_by_some(language: Language, number: int) -> set[str]:
    """Return what the scenarios of one batch use."""
    used: set[str] = set()

    @seed_of_examples(number)
    @settings(
        max_examples=BATCH,
        phases=[Phase.generate],
        derandomize=False,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(scenario_data())
    def draw(data: Data) -> None:
        used.update(language.used_in(data))

    draw()
    return used
