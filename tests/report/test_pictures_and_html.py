"""Pictures draw what the study holds; notebook tables escape what users wrote and never run anything."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mrsim.errors import ResultsError
from mrsim.measure import Status
from mrsim.report import plots
from mrsim.report.html import results_html, scenario_html, trace_html
from mrsim.report.json_export import estimate_json, json_text
from mrsim.report.pictures import pictures
from mrsim.scenario.loader import load
from mrsim.study.results import Results
from mrsim.study.run import run
from mrsim.study.statistics import Sample, estimate
from mrsim.trace import PHASES, Event
from tests.report.samples import FAULT_S, SCENARIO_TEXT, sample_results, sample_scenario, sample_trace

VOID = {"br"}


@pytest.fixture(scope="module")
def results() -> Results:
    return sample_results(unfinished=0.03)


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    mpl.use("Agg")
    before = dict(mpl.rcParams)
    yield
    from matplotlib import pyplot

    pyplot.close("all")
    assert dict(mpl.rcParams) == before, "a picture changed the global style"


class Tags(HTMLParser):
    """Checks that tags close in order, and collects them with their classes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.classes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "class":
                self.classes |= set((value or "").split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    tags = Tags(html)
    assert "script" not in tags.seen
    assert not re.search(r"(src|href)\s*=", html)
    assert all(name.startswith("mrsim-") for name in tags.classes)
    return tags


def test_the_curve_is_the_distribution_against_itself(results: Results) -> None:
    column = "rto_s{service=orders,op=write,clients=95%,of=affected}"
    ax = plots.ecdf(results, column)
    line = ax.lines[0]
    values, status = results.values_of(column), results.status_of(column)
    at = float(np.quantile(values[status == 0], 0.5))
    heights = np.asarray(line.get_ydata())[np.searchsorted(np.asarray(line.get_xdata()) * 60.0, at, side="right") - 1]
    assert heights == pytest.approx(np.mean((values <= at) & (status == 0)), abs=2e-3)
    assert np.max(line.get_ydata()) == pytest.approx(np.mean(status == 0))
    assert "(min)" in ax.get_xlabel()
    assert any("unfinished" in text.get_text() for text in ax.texts)


def test_a_short_name_draws_the_budget_as_a_dashed_line(results: Results) -> None:
    ax = plots.ecdf(results, "rpo")
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert sorted(float(line.get_xdata()[0]) for line in dashed) == [1.0, 120.0]  # type: ignore[index]


def test_two_studies_share_axes_in_two_colours_and_one_unit(results: Results) -> None:
    ax = plots.ecdf(results, "rto", label="one")
    unit = ax.get_xlabel()
    plots.ecdf(sample_results(slow=0.001), "rto", ax, label="two")
    assert ax.get_xlabel() == unit
    solid = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert len({line.get_color() for line in solid}) == 2
    assert len([line for line in ax.lines if line.get_linestyle() == "--"]) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]  # type: ignore[union-attr]


def test_the_curve_of_recovery_lies_in_its_band(results: Results) -> None:
    ax = plots.restored(results, "storefront", "read")
    mean = np.asarray(ax.lines[0].get_ydata())
    assert np.all(np.diff(mean) >= -1e-9)
    assert mean[0] < 0.05
    assert mean[-1] == pytest.approx(1.0)
    assert ax.get_ylabel()
    assert "time since the fault (" in ax.get_xlabel()
    with pytest.raises(ResultsError, match="no curve"):
        plots.restored(results, "nobody")


def test_bars_of_phases_add_up_to_the_totals(results: Results) -> None:
    ax = plots.phases(results)
    ends = {}
    for container in ax.containers:
        for bar in container:
            ends[bar.get_y()] = ends.get(bar.get_y(), 0.0) + bar.get_width()
    totals = [results.phases().loc[key, "total"] / 60 for key in (("storefront", "read"), ("orders", "write"))]
    for total in totals:
        assert any(end == pytest.approx(total) for end in ends.values())


def test_a_bulk_at_the_edge_is_spread_over_a_logarithmic_axis(results: Results) -> None:
    column = "data_loss_s{store=orders-db}"
    values = results.values_of(column)
    ax = plots.ecdf(results, column)
    unit = {"ms": 1e-3, "s": 1.0, "min": 60.0}[re.findall(r"\((\w+)\)", ax.get_xlabel())[0]]
    left, right = ax.transData.transform([(ax.get_xlim()[0], 0), (ax.get_xlim()[1], 0)])[:, 0]
    middle = ax.transData.transform((float(np.median(values[values > 0])) / unit, 0))[0]
    assert (middle - left) / (right - left) > 0.1
    assert 120.0 / unit <= ax.get_xlim()[1], "the budget's limit is on the page"


def test_values_of_one_size_keep_a_linear_axis(results: Results) -> None:
    assert plots.ecdf(results, "rto").get_xscale() == "linear"


def test_budgets_of_several_studies_say_whose_they_are(results: Results) -> None:
    ax = plots.ecdf(results, "rpo", label="one")
    assert {text.get_text() for text in ax.texts} >= {"p50 < 1s", "p99 < 2min"}
    budgets = tuple(one for one in results.scenario.budgets if one.text != "p50 < 1s")
    other = sample_results(scenario=results.scenario.model_copy(update={"budgets": budgets}))
    plots.ecdf(other, "data_loss_s{store=orders-db}", ax, label="two")
    said = [text.get_text() for text in ax.texts]
    assert said.count("one: p50 < 1s") == 1
    assert said.count("p99 < 2min") == 1, "what all have needs no name"
    long = "stores.orders-db.commit={any: 1, of: [eu-west, ap-southeast]}"
    plots.ecdf(other, "data_loss_s{store=orders-db}", ax, label=long)
    plots.ecdf(results, "data_loss_s{store=orders-db}", ax, label=f"again, {long}")
    said = [text.get_text() for text in ax.texts]
    assert said.count("2 of 4: p50 < 1s") == 1, "a long name has no room"
    assert said.count("p99 < 2min") == 1
    assert len([line for line in ax.lines if line.get_linestyle() == "--"]) == 2


def test_a_study_in_which_nothing_finished_says_so() -> None:
    ax = plots.ecdf(sample_results(unfinished=1.0), "rto_s{service=orders,op=write,clients=95%,of=affected}")
    (text,) = [text for text in ax.texts if "no trial recovered before the horizon" in text.get_text()]
    assert float(text.get_fontsize()) >= mpl.rcParams["font.size"]
    assert "(4 h)" in text.get_text()


def test_the_curve_of_recovery_is_drawn_until_nearly_all_are_back(results: Results) -> None:
    ax = plots.restored(results, "storefront", "read")
    times, mean = np.asarray(ax.lines[0].get_xdata()), np.asarray(ax.lines[0].get_ydata())
    assert np.interp(ax.get_xlim()[1], times, mean) >= 0.99 * mean[-1]
    assert np.interp(ax.get_xlim()[0], times, mean) <= 0.01 * mean[-1]
    assert ax.get_xscale() == "log"


def test_phases_of_several_studies_share_one_legend_in_causal_order(results: Results) -> None:
    figure = Figure(figsize=(5.0, 8.0), layout="constrained")
    for place in (1, 2):
        ax = plots.phases(results, figure.add_subplot(2, 1, place))
        assert ax.get_legend() is None
    (legend,) = figure.legends
    FigureCanvasAgg(figure).draw()
    boxes = {text.get_text(): text.get_window_extent() for text in legend.get_texts()}
    as_read = sorted(boxes, key=lambda name: (-round(boxes[name].y0), boxes[name].x0))
    order = [part.replace("_", " ") for part in PHASES]
    assert len({round(box.y0) for box in boxes.values()}) > 1, "the legend has several lines"
    assert as_read == sorted(as_read, key=order.index)


def test_every_phase_has_its_own_look() -> None:
    looks = {plots.phase_style(phase) for phase in PHASES}
    assert len(looks) == len(PHASES)


def test_nothing_to_draw_is_an_error_that_says_so() -> None:
    idle = sample_results(effect=False)
    with pytest.raises(ResultsError, match="no effect in any trial"):
        plots.ecdf(idle, "rto")


def test_pictures_are_png_files_of_all_budgets_and_services(results: Results) -> None:
    files = dict(pictures(results))
    assert {"phases.png", "restored-orders-write.png", "ecdf-data_loss_s-store-orders-db.png"} <= set(files)
    assert all(content.startswith(b"\x89PNG") for content in files.values())


def test_axes_that_are_given_are_used(results: Results) -> None:
    ax = Figure().add_subplot()
    assert plots.ecdf(results, "rto", ax) is ax
    assert plots.restored(results, ax=Figure().add_subplot()) is not ax


def test_results_in_a_notebook(results: Results) -> None:
    tags = parsed(results_html(results))
    assert "1000 trials, seed 7" in tags.text
    assert "recovery time, orders write, 95 % of affected clients" in tags.text
    assert "> horizon" in tags.text
    assert {"mrsim-passed", "mrsim-failed"} & tags.classes
    assert "details" in tags.seen
    assert results._repr_html_() == results_html(results)


def test_feeds_in_a_notebook() -> None:
    text = parsed(
        results_html(run(load("scenarios/feeds/bookstore-search-gap.yaml"), trials=4, seed=7, workers=1))
    ).text
    for row in ("feed lag, search-eu", "longest feed lag, search-ap", "feed recovery, search-eu"):
        assert row in text


def test_a_scenario_in_a_notebook() -> None:
    scenario = sample_scenario()
    tags = parsed(scenario_html(scenario))
    assert "us-east is lost, at a random time, for good" in tags.text
    assert "orders-db (primary)" in tags.text
    assert "p95 < 10min" in tags.text
    assert scenario._repr_html_() == scenario_html(scenario)


def test_a_limit_from_below_is_marked_for_people_and_programs() -> None:
    turned = sample_results(scenario=sample_scenario(SCENARIO_TEXT.replace("trials <= 1%", "trials >= 95%")))
    assert "trials >= 95% (asks for at least)" in parsed(results_html(turned)).text
    assert "trials >= 95% (asks for at least)" in parsed(scenario_html(turned.scenario)).text
    asked = {check["limit"]: check["asks_for"] for check in json.loads(json_text(turned))["checks"]}
    assert {limit for limit, asks in asked.items() if asks == "at least"} == {"trials >= 95%"}
    assert set(asked.values()) == {"at least", "at most"}


def test_a_trace_in_a_notebook() -> None:
    trace = sample_trace()
    tags = parsed(trace_html(trace))
    assert "svg" in tags.seen
    assert "history 1" in tags.text
    assert "verdict-down" in tags.text
    assert trace._repr_html_() == trace_html(trace)


def test_what_users_wrote_is_escaped() -> None:
    evil = "<script>alert('x')</script>"
    trace = sample_trace()
    trace.events.append(Event(FAULT_S, evil, evil, note=evil))
    trace.stores[evil] = trace.stores["orders-db"]
    scenario = sample_scenario().model_copy(update={"name": evil, "summary": evil})
    study = sample_results(scenario=scenario)
    study.provenance[evil] = evil
    for html in (trace_html(trace), scenario_html(scenario), results_html(study)):
        assert "script" not in parsed(html).seen
        assert evil in Tags(html).text


def test_a_notebook_does_not_wait_for_a_table() -> None:
    study, trace = sample_results(), sample_trace()
    started = time.process_time()
    for _ in range(5):
        results_html(study)
        scenario_html(study.scenario)
        trace_html(trace)
    # Meant to be below 50 ms each; the bound leaves room for a slow machine and still catches a simulation.
    assert (time.process_time() - started) / 5 < 0.5


def test_json_is_strict_and_complete(results: Results) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = json.loads(json_text(results), parse_constant=refuse)
    assert data["provenance"]["seed"] == 7
    assert [check["verdict"] for check in data["checks"]] == [check.verdict for check in results.checks]
    entry = next(
        one for one in data["metrics"] if one["column"].startswith("rto_s{service=orders,op=write,clients=99%")
    )
    assert entry["unfinished"] > 0
    assert entry["estimates"]["p99"]["value_high"] is None
    assert entry["estimates"]["p50"]["value_low"] > 0
    assert entry["estimates"]["p50"]["value"] == entry["estimates"]["p50"]["value_low"]


def sample_of(*values: float, status: int = 0) -> Sample:
    return Sample.of(np.array(values), np.full(len(values), status))


@pytest.mark.parametrize(
    ("sample", "aggregation", "value", "upper"),
    [
        (sample_of(*[5.0] * 400), "p99", 5.0, 5.0),
        (sample_of(5.0, 5.0), "p99", 5.0, "unknown"),
        (sample_of(*[5.0] * 400, status=Status.CENSORED), "p50", "beyond horizon", "beyond horizon"),
        (sample_of(*[np.inf] * 400, status=Status.NEVER), "p50", "never", "never"),
        (sample_of(np.nan, status=Status.NO_EFFECT), "p50", None, "unknown"),
        (sample_of(5.0, status=Status.CENSORED), "mean", None, "unknown"),
    ],
)
def test_json_tells_never_from_unknown(sample: Sample, aggregation: str, value: object, upper: object) -> None:
    told = estimate_json(estimate(sample, aggregation))
    assert (told["value"], told["upper"]) == (value, upper)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_completion_offers_the_pictures_only() -> None:
    assert dir(plots) == ["ecdf", "phases", "restored"]
    assert all(callable(getattr(plots, name)) for name in dir(plots))
