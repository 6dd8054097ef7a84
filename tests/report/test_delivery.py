"""How commands end: what they were asked to write, and the report in any case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mrsim.commands.delivery import deliver


def _report(*, width: int, colour: bool) -> str:
    return f"the report of a long study, colour {colour}\n" if width else ""


def _never() -> str:
    raise AssertionError("made without being asked for")


def _pictures() -> Iterator[tuple[str, bytes]]:
    yield "one.png", b"1"
    yield "two.png", b"2"


def test_what_was_asked_for_is_written_before_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(_report, [(None, _never), (tmp_path / "a.json", lambda: "ä")], tmp_path, _pictures)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.json": "ä".encode(),
        "one.png": b"1",
        "two.png": b"2",
    }
    assert capsys.readouterr().out == "the report of a long study, colour False\n"


@pytest.mark.parametrize("folder", ["there", "gone"])
def test_a_file_that_cannot_be_written_costs_no_report(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.json" if folder == "there" else tmp_path / "gone" / "a.json"
    failing = tmp_path / "gone" / "one.png" if folder == "there" else target
    with pytest.raises(FileNotFoundError) as raised:
        deliver(_report, [(target, lambda: "{}")], tmp_path / "gone", _pictures)
    assert raised.value.filename == str(failing)
    assert capsys.readouterr().out == "the report of a long study, colour False\n"
