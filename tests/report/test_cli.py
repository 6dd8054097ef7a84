"""The command line as a real process: what it prints where, what it leaves behind, and what its exit code says."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mrsim.cli import main
from mrsim.metrics import METRICS
from mrsim.study.results import Results
from tests.report.samples import SCENARIO_TEXT

ROOT = Path(__file__).resolve().parents[2]
PASSES = SCENARIO_TEXT.replace("p95 < 10min", "p95 < 20min")
NEVER_PASSES = SCENARIO_TEXT.replace("p95 < 10min", "p95 < 10s")


def mrsim(*arguments: str | Path, cwd: Path | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it did."""
    return subprocess.run(
        [sys.executable, "-m", "mrsim", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd or ROOT,
        env=environment(),
        **options,  # type: ignore[call-overload]
    )


def environment(**more: str) -> dict[str, str]:
    theirs = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in theirs}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | more


def script(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env=environment(),
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(PASSES)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(NEVER_PASSES)
    return path


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line on standard error; nothing may be a traceback."""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_run_passes_and_leaves_what_was_asked_for(good: Path, tmp_path: Path) -> None:
    files = tmp_path / "out.json", tmp_path / "out.mrsim", tmp_path / "pictures"
    done = mrsim("run", good, "--trials", 400, "--seed", 7, "--json", files[0], "--save", files[1], "--plot", files[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "400 trials, seed 7" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    data = json.loads(files[0].read_text())
    assert {check["verdict"] for check in data["checks"]} == {"passed"}
    results = Results.load(files[1])
    assert results.n == 400
    assert results.seed == 7
    assert len(list(files[2].glob("*.png"))) >= 5
    assert not list(tmp_path.rglob("*.part"))


def test_a_failed_budget_is_exit_code_1(bad: Path) -> None:
    done = mrsim("run", bad, "--trials", 100, "--seed", 7)
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_too_few_trials_are_exit_code_3(good: Path) -> None:
    done = mrsim("run", good, "--trials", 20, "--seed", 7)
    assert done.returncode == 3
    assert "INCONCLUSIVE" in done.stdout
    assert re.search(r"; try --trials \d+", " ".join(done.stdout.split()))


def test_a_budget_that_only_warns_does_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "warn.yaml"
    path.write_text(SCENARIO_TEXT.replace("[p95 < 10min]", "[{expr: 'p95 < 10s', level: warn}]"))
    done = mrsim("run", path, "--trials", 400, "--seed", 7)
    assert "FAIL (warn)" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_check_judges_many_files_in_one_table(good: Path, bad: Path) -> None:
    done = mrsim("check", good.parent, "--trials", 400, "--seed", 7)
    assert done.returncode == 1, done.stderr
    assert done.stdout.index(str(bad)) < done.stdout.index(str(good))
    assert f"mrsim trace {bad} --seed 7 --trial" in done.stdout


def test_check_refuses_to_be_green_without_budgets(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text(SCENARIO_TEXT.split("budgets:")[0])
    done = mrsim("check", path)
    assert done.returncode == 2
    assert "no budget to check" in one_line(done)


def test_validate_says_everything_that_is_wrong(good: Path, tmp_path: Path) -> None:
    broken = tmp_path / "x.yaml"
    broken.write_text(SCENARIO_TEXT.replace("near: eu-west", "near: eu-wets").replace("ttl: 60s", "ttl: 60"))
    done = mrsim("validate", good.parent)
    assert done.returncode == 2
    assert f"{good}: valid" in done.stdout
    assert "Traceback" not in done.stderr
    assert "eu-wets" in done.stderr
    assert "'eu-west'" in done.stderr or "eu-west?" in done.stderr
    assert all(line.startswith(f"{broken}:") for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) == 2
    assert mrsim("validate", good).returncode == 0
    assert mrsim("run", broken).returncode == 2


def test_a_trial_told_alone_is_the_trial_of_the_study(good: Path, tmp_path: Path) -> None:
    saved = tmp_path / "out.mrsim"
    mrsim("run", good, "--trials", 20, "--seed", 7, "--save", saved)
    value = Results.load(saved).trials.loc[13, "rto_s{service=orders,op=write,clients=95%,of=affected}"]
    done = mrsim("trace", good, "--seed", 7, "--trial", 13)
    assert done.returncode == 0, done.stderr
    for part in ("What happened", "Who could write to orders-db", "Where the time went", "because of"):
        assert part in done.stdout
    minutes, seconds = divmod(round(value), 60)
    assert f"orders write, the client at 95%: {minutes} min {seconds} s" in done.stdout
    assert done.stdout.rstrip().endswith(f"mrsim trace {good} --seed 7 --trial 13")


def test_validate_marks_limits_from_below(good: Path) -> None:
    good.write_text(good.read_text().replace("trials <= 1%", "trials >= 95%"))
    done = mrsim("validate", good)
    assert done.returncode == 0
    assert "split_brain{store=orders-db} trials >= 95% asks for at least, not at most" in done.stdout
    good.write_text(good.read_text().replace("trials >= 95%", "trials <= 1%"))
    assert "asks for at least" not in mrsim("validate", good).stdout


@pytest.mark.parametrize(("asked", "widest"), [("60", 60), ("100", 100), ("", 120), ("wide", 120)])
def test_a_page_is_as_wide_as_asked_for(asked: str, widest: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mrsim", "presets"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(COLUMNS=asked),
    )
    longest = max(map(len, done.stdout.splitlines()))
    assert widest - 20 < longest <= widest


def test_a_seed_that_is_not_given_is_drawn_and_shown(good: Path) -> None:
    shown = {re.search(r"--seed (\d+)", mrsim("trace", good).stdout).group(1) for _ in range(2)}  # type: ignore[union-attr]
    assert len(shown) == 2


def test_schema_and_presets() -> None:
    schema = json.loads(mrsim("schema").stdout)
    assert "properties" in schema or "$defs" in schema
    listed = mrsim("presets")
    assert listed.returncode == 0
    assert "route53-fast" in listed.stdout
    assert "documented" in mrsim("presets", "show", "route53-fast").stdout
    wrong = mrsim("presets", "show", "route53-fest")
    assert wrong.returncode == 2
    assert "route53-fast" in one_line(wrong)


def test_metrics_are_listed_and_found_by_any_word() -> None:
    every = mrsim("metrics").stdout
    assert all(re.search(rf"^{metric.name}\b", every, re.MULTILINE) for metric in METRICS)
    found = mrsim("metrics", "Recovery time").stdout
    assert found.startswith("rto_s, rto{service, op, clients, of=affected}: duration; mean, median, pN\n    Recovery")
    assert "data_loss_s" not in found
    wrong = mrsim("metrics", "rpos")
    assert wrong.returncode == 2
    assert one_line(wrong) == "mrsim: no metric has 'rpos' in its name or description (did you mean 'rpo_s'?)"


def test_help_and_version() -> None:
    text = " ".join(mrsim("--help").stdout.split())
    assert "0 passed, 1 a budget failed, 2 usage or invalid scenario, 3 inconclusive, 4 internal error" in text
    for command in ("run", "check", "validate", "trace", "schema", "presets"):
        assert command in text
    assert re.fullmatch(r"mrsim \d+\.\d+\.\d+\n", mrsim("--version").stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument 'FILE'"),
        (["run", "nothing-here.yaml"], "nothing-here.yaml: no such file"),
        (["run", "tests"], "is a folder"),
        (["check", "nothing-here"], "no such file"),
        (["check", "mrsim/sim"], "no scenario file"),
        (["check"], "Missing argument"),
        (["rum"], "No such command 'rum'"),
        (["run", "x.yaml", "--trials", "0"], "between 1 and 10,000,000 trials"),
        (["run", "x.yaml", "--trials", "10000001"], "between 1 and 10,000,000 trials"),
        (["run", "x.yaml", "--trials", "many"], "not a valid integer"),
        (["run", "x.yaml", "--seed", "-1"], "negative"),
        (["run", "x.yaml", "--workers", "0"], "between 1 and 1024 workers"),
        (["trace", "x.yaml", "--trial", "-1"], "numbered from 0 to 9,999,999"),
        (["trace", "x.yaml", "--trial", "1" + "0" * 23], "numbered from 0 to 9,999,999"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr()
    assert left.value.code == 2
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


def test_a_mistake_in_a_real_process() -> None:
    done = mrsim("run", "nothing-here.yaml")
    assert done.returncode == 2
    assert one_line(done) == "mrsim: nothing-here.yaml: no such file"
    assert done.stdout == ""


@pytest.mark.parametrize("option", ["--json", "--save"])
def test_targets_that_cannot_be_written_are_said_before_the_run(
    good: Path, option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("the study was run")

    monkeypatch.setattr("mrsim.study.run.Growing.to", run)
    folder = good.parent / "folder"
    folder.mkdir()
    targets = ((folder, "Is a directory"), (good.parent / "no" / "x", "No such file"), (good / "x", "Not a dir"))
    for target, said in targets:
        with pytest.raises(SystemExit) as left:
            main(["run", str(good), option, str(target)])
        shown = capsys.readouterr()
        assert left.value.code == 2
        assert said in shown.err
        assert shown.out == ""


@pytest.mark.parametrize("option", ["--json", "--save"])
def test_a_full_disk_leaves_nothing_half_written(good: Path, option: str) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    done = mrsim("run", good, "--trials", 10, "--seed", 7, option, full)
    assert done.returncode == 2
    assert one_line(done) == "mrsim: /dev/full: No space left on device"
    assert "10 trials, seed 7" in done.stdout, "a long study must not be lost with the file"
    assert full.is_char_device()


@pytest.mark.parametrize(
    ("arguments", "code"), [("presets", 0), ("run {} --trials 10 --seed 7", 3), ("run {} --trials x", 2)]
)
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_process_without_standard_streams(good: Path, arguments: str, code: int, closed: str) -> None:
    """Started with its output closed, as some schedulers do, it does its work and says nothing."""
    command = f"{sys.executable} -m mrsim {arguments.format(good)} {closed}"
    assert (
        subprocess.run(["sh", "-c", command], check=False, timeout=120, cwd=ROOT, env=environment()).returncode == code
    )


@pytest.mark.parametrize("option", ["--json", "--save"])
def test_what_was_there_survives_a_failed_write(good: Path, tmp_path: Path, option: str) -> None:
    target = tmp_path / "kept"
    target.write_text("before")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); from mrsim.cli import main; "
        f"main(['run', {str(good)!r}, '--trials', '100', '--seed', '7', '--workers', '1', {option!r}, {str(target)!r}])"
    )
    done = script(code)
    assert done.returncode == 2, done.stderr
    assert f"{target}: File too large" in one_line(done)
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.yaml", "kept"]


def test_standard_output_on_a_full_disk(good: Path) -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mrsim", "presets"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment(),
        )
    assert done.returncode == 2
    assert done.stderr == "mrsim: standard output: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_report_that_is_cut_short_is_no_success(tmp_path: Path, unbuffered: str) -> None:
    """With PYTHONUNBUFFERED, as containers set it, what a disk does not take was dropped and the exit code was 0."""
    shown, limit = tmp_path / "shown", 5000
    with shown.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "mrsim", "presets"],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment(PYTHONUNBUFFERED=unbuffered),
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
        )
    assert shown.stat().st_size <= limit < len(mrsim("presets").stdout)
    assert (done.returncode, done.stderr) == (2, "mrsim: standard output: File too large\n")


def test_a_closed_pipe_is_silent(good: Path) -> None:
    """As in ``mrsim trace ... | head``: the reader has seen enough, and nothing went wrong."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "mrsim", "trace", str(good), "--seed", "7"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment(),
        )
    assert done.returncode == 141
    assert done.stderr == ""


def test_without_a_fault_the_baseline_is_reported(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "quiet.yaml"
    path.write_text(re.sub(r"faults:\n.*\n", "faults: []\n", good.read_text()))
    done = mrsim("run", path, "--trials", 20, "--seed", 7)
    assert done.returncode == 3, done.stderr
    assert "no fault: nothing is tested" in done.stdout
    assert "orders write: no effect: nobody was affected in any trial" in done.stdout
    path.write_text("name: bare\nregions: [here]\n")
    assert mrsim("run", path, "--trials", 20, "--seed", 7).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("presets", "show")])
def test_a_command_without_arguments_says_how_to_go_on(arguments: tuple[str, ...]) -> None:
    done = mrsim(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    if not arguments:
        assert done.stderr == mrsim("--help").stdout
    else:
        assert "see 'mrsim presets show --help'" in one_line(done)


def test_json_goes_to_standard_output_and_the_report_beside_it(good: Path, tmp_path: Path) -> None:
    done = mrsim("run", good, "--trials", 20, "--seed", 7, "--json", "-", cwd=tmp_path)
    assert json.loads(done.stdout)["provenance"]["seed"] == 7
    assert "Recovery time (RTO)" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["good.yaml"]


@pytest.mark.parametrize("option", ["--save", "--plot"])
def test_nothing_else_goes_to_standard_output(good: Path, tmp_path: Path, option: str) -> None:
    done = mrsim("run", good, "--trials", 20, option, "-", cwd=tmp_path)
    assert done.returncode == 2
    assert "only the JSON of run" in one_line(done)
    assert [path.name for path in tmp_path.iterdir()] == ["good.yaml"]


def test_a_broken_invariant_is_exit_code_4_with_its_replay_line(good: Path) -> None:
    done = script(
        "import mrsim.study.run as run\n"
        "from mrsim.errors import SimulationError\n"
        "def broken(*args, **kwargs): raise SimulationError('the ledger does not add up', 7, 87, 12.5)\n"
        "run.Growing.to = broken\n"
        "from mrsim.cli import main\n"
        f"main(['run', {str(good)!r}])"
    )
    assert done.returncode == 4
    assert "the ledger does not add up (seed 7, trial 87" in done.stderr
    assert f"mrsim trace {good} --seed 7 --trial 87" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_is_exit_code_4_not_a_failed_budget(good: Path) -> None:
    done = script(
        "import mrsim.study.run as run\n"
        "def broken(*args, **kwargs): raise ZeroDivisionError('oops')\n"
        "run.Growing.to = broken\n"
        "from mrsim.cli import main\n"
        f"main(['run', {str(good)!r}])"
    )
    assert done.returncode == 4
    assert "ZeroDivisionError: oops" in done.stderr


STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    """End what a failed test has left running, workers included: it would slow down all that follow."""
    yield
    while STARTED:
        with suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


class Terminal:
    """A process whose standard streams go to terminals that the test reads."""

    def __init__(self, *arguments: str | Path, **more: str) -> None:
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "mrsim", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment(**more), start_new_session=True
        )
        os.close(slave)
        self.seen = ""
        STARTED.append(self.process)

    def read_until(self, pattern: str | None, timeout_s: float = 180.0) -> str:
        """Read until a pattern was seen, or with None to the end."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and (pattern is None or not re.search(pattern, self.seen)):
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                return self.seen
            if not chunk:
                return self.seen
            self.seen += chunk.decode(errors="replace")
        if pattern is not None and not re.search(pattern, self.seen):
            raise AssertionError(self.seen[-2000:])
        return self.seen

    def end(self) -> int:
        """Wait for the process; return its exit code."""
        self.read_until(None)
        os.close(self.master)
        return self.process.wait(timeout=60)


@pytest.mark.parametrize(("sent", "workers"), [(signal.SIGINT, "1"), (signal.SIGTERM, "1"), (signal.SIGTERM, "2")])
def test_an_interrupted_run_prints_what_was_finished(good: Path, tmp_path: Path, sent: int, workers: str) -> None:
    """Ctrl-C goes to every process of the terminal, SIGTERM to the one that was started."""
    saved = tmp_path / "part.mrsim"
    terminal = Terminal("run", good, "--trials", "100000", "--seed", "7", "--workers", workers, "--save", saved)
    terminal.read_until(r" (16|\d{3,})/100000")
    (os.killpg if sent == signal.SIGINT else os.kill)(terminal.process.pid, sent)
    code = terminal.end()
    assert code == 130
    partial = Results.load(saved)
    assert 16 <= partial.n < 100_000
    assert f"interrupted: the report covers the {partial.n} trials that were finished" in terminal.seen
    assert "Recovery time (RTO)" in terminal.seen
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize(
    ("command", "said"), [("run", "the report covers the"), ("check", "1 of 1 scenarios were reached")]
)
def test_impatience_spoils_nothing(good: Path, command: str, said: str) -> None:
    """Ctrl-C five times while workers run: what was finished is reported, and nothing else."""
    terminal = Terminal(command, good, "--trials", "1000000", "--seed", "7", "--workers", "2")
    terminal.read_until(r" (16|\d{3,})/1000000")
    for _ in range(5):
        with suppress(ProcessLookupError):
            os.killpg(terminal.process.pid, signal.SIGINT)
        time.sleep(0.2)
    assert terminal.end() == 130
    assert f"interrupted: {said}" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert "Exception" not in terminal.seen


def test_an_interruption_while_the_program_is_loaded() -> None:
    done = script(
        "import sys\n"
        "class Stopped:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mrsim.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stopped())\n"
        "from mrsim.__main__ import main\n"
        "main()"
    )
    assert done.returncode == 130
    assert one_line(done) == "mrsim: interrupted"
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"mrsim": "mrsim.__main__:main"}


def test_an_interruption_before_the_first_trials(good: Path) -> None:
    done = script(
        "import mrsim.study.run as run\n"
        "def stopped(*args, **kwargs): raise run.Interrupted(None)\n"
        "run.Growing.to = stopped\n"
        "from mrsim.cli import main\n"
        f"main(['run', {str(good)!r}])"
    )
    assert done.returncode == 130
    assert one_line(done) == "mrsim: interrupted before the first trials were finished"


def test_colour_on_a_terminal_unless_the_reader_declines(good: Path) -> None:
    coloured = Terminal("presets", "list")
    assert coloured.end() == 0
    assert "\x1b[" in coloured.seen
    plain = Terminal("presets", "list", NO_COLOR="1")
    assert plain.end() == 0
    assert "\x1b[" not in plain.seen


def test_the_number_of_workers_changes_no_byte(good: Path) -> None:
    one = mrsim("run", good, "--trials", 600, "--seed", 7, "--workers", 1)
    two = mrsim("run", good, "--trials", 600, "--seed", 7, "--workers", 2)
    assert one.stdout == two.stdout
    assert "600 trials" in one.stdout
