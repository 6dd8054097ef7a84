"""The pages tell the truth: generated blocks are current, examples load, links lead somewhere, commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from docs import generate
from mrsim.cli import commands
from mrsim.metrics import METRICS
from mrsim.scenario.loader import loads

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
CHEAP = ("--trials", "20", "--seed", "1")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def mrsim(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process, in a folder that has what pages name; what it writes stays there."""
    for name in ("docs", "scenarios"):
        (folder / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "mrsim", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", generate.PAGES)
def test_generated_blocks_are_current(name: str) -> None:
    [(path, text)] = generate.pages([name])
    assert path.read_text(encoding="utf-8") == text, "run: make docs"


def test_every_metric_has_its_row() -> None:
    table = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [metric.name for metric in METRICS if f"| `{metric.name}`" not in table] == []


@pytest.mark.parametrize(
    "text", re.findall(r"```yaml\n(.*?)```", LANGUAGE, re.DOTALL), ids=lambda text: text.split()[1]
)
def test_examples_of_scenarios_load(text: str) -> None:
    assert loads(text).budgets


def written_forms() -> list[str]:
    """Return the forms of uncertain numbers that the page shows."""
    section = LANGUAGE.split("## Numbers")[1].split("\n## ")[0]
    return re.findall(r"^\| [^|]+ \| `(.+)` \|$", section, re.MULTILINE)


def test_the_page_shows_all_forms_of_uncertain_numbers() -> None:
    assert len(written_forms()) == 8


@pytest.mark.parametrize("form", written_forms())
def test_forms_of_uncertain_numbers_are_read(form: str) -> None:
    text = LANGUAGE.split("```yaml\n")[1].split("```")[0].replace("takes: 1s..3s", f"takes: {form}")
    takes = loads(text).stores["ledger"].endpoint.takes
    assert takes.quantile(0.9) > 0
    assert takes != loads(text.replace(form, "1s..3s")).stores["ledger"].endpoint.takes


@each_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each_page
def test_files_named_in_pages_exist(page: Path) -> None:
    text = re.sub(r"<!-- begin: .*?<!-- end", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:scenarios|docs|tests|mrsim|benchmarks|notebooks)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def documented_commands() -> list[str]:
    """Return every mrsim command in a code block of a page, without its environment's path."""
    blocks = [block for page in PAGES for block in re.findall(r"```(?:sh|text)\n(.*?)```", page.read_text(), re.DOTALL)]
    lines = [line.removeprefix("$ ").removeprefix("  ") for block in blocks for line in block.splitlines()]
    found = [line.removeprefix(".venv/bin/").split("  #")[0] for line in lines]
    return sorted({line for line in found if line.startswith("mrsim ") and ".yaml" in line})


def test_pages_document_commands() -> None:
    assert {command.split()[1] for command in documented_commands()} >= {"run", "trace"}


@pytest.mark.parametrize("command", documented_commands())
def test_documented_commands_run(command: str, tmp_path: Path) -> None:
    arguments = shlex.split(command)[1:]
    if "--trials" in arguments and arguments[0] != "solve":  # which refuses to search with too few
        arguments[arguments.index("--trials") + 1] = "3000" if arguments[0] == "rare" else "20"
    elif arguments[0] == "run":
        arguments += CHEAP
    done = mrsim(*arguments, folder=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert done.stdout


def test_the_drills_that_the_page_shows_are_those_it_scores() -> None:
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    assert f"```text\n{(ROOT / 'docs' / 'examples' / 'drills.csv').read_text(encoding='utf-8')}```" in page


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/calibration.md",
        "docs/studies.md",
        "docs/gates.md",
        "docs/rare-events.md",
        "docs/scale.md",
    ],
)
def test_the_python_of_the_pages_runs(tmp_path: Path, name: str) -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL))
    assert code
    script = tmp_path / "readme.py"
    script.write_text("import matplotlib\n\nmatplotlib.use('Agg')\n" + re.sub(r"trials=200(?=[,)])", "trials=80", code))
    run = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


def test_make_run_is_the_command_that_the_readme_shows() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    values = dict(re.findall(r"^(\w+) +\?= (\S+)$", makefile, re.MULTILINE))
    (recipe,) = re.findall(r"^run: .*\n\t\$\(BIN\)/(.*)$", makefile, re.MULTILINE)
    typed = re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], recipe)
    assert "--seed" in typed
    assert f"\n.venv/bin/{typed}\n" in README
    assert f"\n$ {typed}\n" in README


def test_every_command_is_documented() -> None:
    known = set(commands.commands)
    assert set(generate.COMMANDS) == known
    assert {name for name in known - {"validate", "schema", "presets"} if f"mrsim {name} " not in README} == set()


@pytest.mark.parametrize("typed", re.findall(r"`mrsim (.*?)`", README.split("What else there is")[1]))
def test_commands_that_the_readme_lists_have_these_options(typed: str) -> None:
    name, *arguments = shlex.split(typed)
    known = {option for parameter in commands.commands[name].params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


@pytest.mark.parametrize("target", ["run", "test", "lint", "verify", "bench", "docs", "notebook", "schema"])
def test_make_knows_the_targets_that_pages_name(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_targets_named_in_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named
    assert {name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def steps_of(name: str) -> list[str]:
    """Return the commands that a pipeline runs, as GitHub and GitLab read its file."""
    document = YAML(typ="safe").load((ROOT / "docs" / "examples" / name).read_text(encoding="utf-8"))
    if "jobs" in document:
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for job in document.values() for line in job["script"]]


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_commands_of_the_pipelines_run(tmp_path: Path, name: str) -> None:
    """The baseline is written as the file says, then a change that makes recovery slower turns the pipeline red."""
    [renew] = re.findall(r"#   (mrsim check .*)", (ROOT / "docs" / "examples" / name).read_text(encoding="utf-8"))
    install, command = steps_of(name)
    assert install == "pip install mrsim"
    folder = tmp_path / "failover"
    folder.mkdir()
    scenario = (ROOT / "scenarios" / "postures" / "three-region-async.yaml").read_text(encoding="utf-8")
    limit = "budgets:\n  rto{service=orders, op=write, clients=90%}: [p50 < 1h]\n"
    scenario = scenario.partition("budgets:")[0] + limit
    (folder / "a.yaml").write_text(scenario, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}

    def typed(line: str) -> int:
        arguments = [sys.executable, "-m", *shlex.split(line.replace("1000", "40")), "--workers", "1"]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
        assert done.stdout, done.stderr
        return done.returncode

    assert typed(renew) == 0
    assert typed(command) == 0
    (folder / "a.yaml").write_text(scenario.replace("ttl: 60s", "ttl: 90s"), encoding="utf-8")
    assert typed(command) == 1
    assert (tmp_path / "mrsim.xml").read_text(encoding="utf-8").count("<failure") == 1
