"""The file of a baseline: it gives back what was kept, and says of what is wrong with it in which line it stands."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrsim
from mrsim.errors import BaselineError
from mrsim.measure import Status
from mrsim.scenario.loader import load
from mrsim.study.baseline import Baseline, Kept, rounded
from mrsim.study.baseline_file import VALUES_PER_LINE, document_of, text_of
from mrsim.study.documents import flattened, nested
from mrsim.study.provenance import engine
from mrsim.study.run import run
from tests.study import fakes

ROOT = Path(__file__).parents[2]
BOOKSTORE = ROOT / "scenarios" / "active-passive" / "bookstore-region-loss.yaml"
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
BUDGETS = (fakes.budget(fakes.RTO, "p95 < 900"), fakes.budget(fakes.SPLIT, "trials <= 0.1", "warn"))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    """Return a baseline of a known study, with unfinished trials and some without an effect."""
    return Baseline.of([run(fakes.scenario(*BUDGETS), trials=130, seed=5, workers=1, build=fakes.build)], ["a.yaml"])


@pytest.fixture
def file(baseline: Baseline, tmp_path: Path) -> Path:
    """Return the file of that baseline."""
    path = tmp_path / "baseline.jsonl"
    baseline.save(path)
    return path


def test_a_file_gives_back_what_was_kept(baseline: Baseline, file: Path, tmp_path: Path) -> None:
    [was], again = baseline.kept, Baseline.load(file)
    [now] = again.kept
    assert (again.seed, again.trials, again.engine) == (5, 130, engine())
    assert document_of(now.scenario) == document_of(was.scenario)
    assert now.scenario.budgets == BUDGETS
    assert now.file == "a.yaml"
    assert set(now.values) == {fakes.RTO, fakes.SPLIT}
    for column, values in was.values.items():
        assert np.array_equal(now.values[column], values, equal_nan=True)
        assert np.array_equal(now.status[column], was.status[column])
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes(), "the same bytes"


values = st.one_of(st.floats(0.0, 1e9), st.just(0.0), st.just(np.inf), st.sampled_from([1e-7, 299.9999999, 1e300]))


@given(st.lists(st.tuples(values, st.sampled_from(list(Status))), min_size=1, max_size=60))
def test_every_kind_of_number_survives_the_file(rows: list[tuple[float, Status]]) -> None:
    numbers = rounded(np.array([value for value, _ in rows]))
    codes = np.array([code for _, code in rows], dtype=np.int8)
    numbers[codes == Status.NO_EFFECT] = np.nan
    numbers[codes == Status.NEVER] = np.inf
    kept = Kept(fakes.scenario(BUDGETS[0]), "a.yaml", {fakes.RTO: numbers}, {fakes.RTO: codes})
    text = text_of(Baseline((kept,), 1, len(rows), engine()))
    path = Path(f"{__name__}.jsonl")
    [again] = _read(text, path).kept
    assert np.array_equal(again.values[fakes.RTO], numbers, equal_nan=True)
    assert np.array_equal(again.status[fakes.RTO], codes)


def _read(text: str, path: Path) -> Baseline:
    from mrsim.study.baseline_file import _Reader

    return _Reader(str(path), text).baseline()


def test_numbers_keep_six_digits() -> None:
    assert rounded(np.array([384.30016528, 0.000123456789, np.inf])).tolist() == [384.3, 0.000123457, np.inf]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_is_taken_apart_and_put_together(path: Path) -> None:
    document = document_of(load(path))
    lines = list(flattened(document))
    assert nested(json.loads(json.dumps(lines))) == document
    assert all(len(json.dumps(value)) <= 100 for _, value in lines), "a value that is longer is no line of a review"


def test_the_file_alone_reruns_the_old_scenario(tmp_path: Path) -> None:
    scenario = load(BOOKSTORE)
    before = run(scenario, trials=20, seed=7, workers=1)
    Baseline.of([before]).save(tmp_path / "b")
    [kept] = Baseline.load(tmp_path / "b").kept
    again = run(kept.scenario, trials=20, seed=7, workers=1)
    for column in kept.values:
        assert again.values_of(column).tobytes() == before.values_of(column).tobytes()


def test_the_file_is_small_and_a_line_says_one_thing(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert '{"dns.shop.ttl": 60.0}' in lines
    assert '{"stores.orders-db.standbys[0].region": "eu-west"}' in lines
    assert max(map(len, lines[2:])) < 300
    assert sum(line.startswith("[") for line in lines) == 2 * -(-130 // VALUES_PER_LINE)
    assert len(file.read_bytes()) < 20_000
    for line in lines:
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_no_file_that_was_cut_off_is_taken_for_whole(file: Path) -> None:
    whole = file.read_bytes()
    for length in [*range(0, len(whole), 61), *range(len(whole) - 40, len(whole))]:
        file.write_bytes(whole[:length])
        with pytest.raises(BaselineError, match=rf"^{re.escape(str(file))}:\d+: "):
            Baseline.load(file)


def test_no_line_can_be_changed_unnoticed(file: Path) -> None:
    """Whatever digit, word or truth value is changed after the header, but for the file's path, the digest tells."""
    lines = file.read_text(encoding="utf-8").splitlines()
    changed = 0
    for index in range(1, len(lines)):
        for old, new in (
            ("1", "2"),
            ("5", "6"),
            ("true", "false"),
            ("us-east", "us-west"),
            ("null", "0"),
            ("p95", "p9"),
        ):
            line = lines[index].replace(old, new, 1)
            if line == lines[index] or '"file"' in line or "e999" in line:
                continue
            changed += 1
            file.write_text("\n".join([*lines[:index], line, *lines[index + 1 :], ""]), encoding="utf-8")
            with pytest.raises(BaselineError, match=rf"^{re.escape(str(file))}:\d+: "):
                Baseline.load(file)
    assert changed > 50


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: ["name: a", *lines], ":1: not a baseline"),
        (lambda lines: ["[1]", *lines], ":1: not a baseline"),
        (lambda lines: [lines[0].replace('"baseline": 1', '"baseline": 2'), *lines[1:]], ":1: format 2 of a baseline"),
        (lambda lines: [lines[0].replace('"trials": 130', '"trials": 0'), *lines[1:]], ":1: trials must be a whole"),
        (lambda lines: [lines[0].replace('"seed": 5', '"seed": true'), *lines[1:]], ":1: seed must be a whole"),
        (lambda lines: [lines[0], "<<<<<<< HEAD", *lines[1:]], ":2: a merge conflict"),
        (lambda lines: [*lines[:9], "{oops", *lines[9:]], ":10: not a line of JSON"),
        (lambda lines: [*lines[:9], lines[8], *lines[9:]], ":2: 'summary' does not fit"),
        (lambda lines: [*lines[:-3], '["soon"]', *lines[-2:]], ":LAST: 'soon' is no number of a trial"),
        (lambda lines: [*lines[:-3], "[true]", *lines[-2:]], ":LAST: 'True' is no number of a trial"),
        (lambda lines: [*lines[:-1], '{"end": 2}'], ":END: 2 scenarios were written, 1 are here"),
        (lambda lines: [*lines, "{}"], ":AFTER: there is something after the end"),
        (lambda lines: [*lines[:-1], *lines[1:-1], '{"end": 2}'], "have the same name, 'fake'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(spoil: object, said: str, file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    places = {"LAST": len(lines) - 2, "END": len(lines), "AFTER": len(lines) + 1}
    for name, place in places.items():
        said = said.replace(name, str(place))
    if "does not fit" in said:
        lines[8] = '{"summary": "twice"}'
    file.write_text("\n".join([*spoil(lines), ""]), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(BaselineError) as error:
        Baseline.load(file)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"PK\x03\x04", b'{"scenario": 1}\n', b"name: shop\nhorizon: 4h\n", b"[]\n", b"null\n"]
)
def test_what_is_no_baseline_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(BaselineError) as error:
        Baseline.load(path)
    assert f"{path}:1: not a baseline" in str(error.value)
    for other, reason in ((tmp_path / "nowhere", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(BaselineError, match=reason):
            Baseline.load(other)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mrsim.scenario.stores:Wal", "mrsim.scenario.stores:WalOfOld", "is not a class"),
        ('{"stores.orders-db.wal.commits"', '{"stores.orders-db.wal.commits_of_old"', "has no 'commits_of_old'"),
        ("mrsim.scenario.stores:Wal", "os:system", "is not a class"),
    ],
)
def test_another_versions_baseline_is_said_to_be_that(
    old: str, new: str, reason: str, baseline: Baseline, tmp_path: Path
) -> None:
    """A file that is whole, and holds what this version does not know."""
    from mrsim.study import baseline_file
    from mrsim.study.documents import digest

    older = replace(baseline, engine=baseline.engine | {"mrsim": "0.0.1"})
    [kept] = older.kept
    parts = baseline_file._parts(kept)
    text = text_of(older)
    document = json.loads(json.dumps(parts["document"]).replace(old.strip("{"), new.strip("{")))
    if "commits_of_old" in new:
        wal = document["stores"]["orders-db"]["wal"]
        wal["commits_of_old"] = wal.pop("commits")
    text = text.replace(old, new).replace(digest(parts), digest(parts | {"document": document}))
    path = tmp_path / "older"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BaselineError) as error:
        Baseline.load(path)
    said = str(error.value)
    assert said.startswith(
        f"{path}:2: 'fake' was written by mrsim 0.0.1, which this version, {mrsim.__version__}, cannot"
    )
    assert reason in said
    assert said.endswith("write it again with mrsim check FILES --write-baseline")


def test_scenarios_that_cannot_be_told_apart_are_refused() -> None:
    study = run(fakes.scenario(*BUDGETS), trials=40, seed=5, workers=1, build=fakes.build)
    other = run(fakes.scenario(*BUDGETS), trials=40, seed=6, workers=1, build=fakes.build)
    with pytest.raises(BaselineError, match=r"a.yaml and b.yaml have the same name, 'fake'"):
        Baseline.of([study, study], ["a.yaml", "b.yaml"])
    with pytest.raises(BaselineError, match="one seed"):
        Baseline.of([study, replace(other, scenario=study.scenario.model_copy(update={"name": "b"}))])
    with pytest.raises(BaselineError, match="of 50 trials cannot be made of a study of 40"):
        Baseline.of([study], trials=50)
    with pytest.raises(BaselineError, match="at least one study"):
        Baseline.of([])


def test_what_cannot_be_written_leaves_what_was_there(baseline: Baseline, file: Path) -> None:
    before = file.read_bytes()
    file.parent.chmod(0o555)
    try:
        with pytest.raises(OSError):  # noqa: PT011
            baseline.save(file.parent / "nowhere" / "b")
        assert file.read_bytes() == before
    finally:
        file.parent.chmod(0o755)


def test_the_lock_is_a_digest_of_versions() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", engine()["lock"])
    assert {"mrsim", "python", "numpy", "scipy", "simpy"} < set(engine())
