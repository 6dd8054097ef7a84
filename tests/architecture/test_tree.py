"""The rules of the house that a look at the tree can check (CONTRIBUTING.md says why each exists)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from importlinter.cli import lint_imports

from tests.architecture import tree

MODULES = tree.modules()
ONLY_IN = {
    "simpy": ("mrsim/sim/",),
    "pandas": ("mrsim/study/", "mrsim/report/", "mrsim/cli.py"),
    "matplotlib": ("mrsim/report/plots.py",),
    "ruamel": ("mrsim/scenario/loader.py",),
    "pyarrow": ("mrsim/study/parquet.py",),
    "distributed": ("mrsim/study/cluster.py",),
    "random": (),
    "secrets": (),
    "click": ("mrsim/cli.py", "mrsim/commands/"),
}
LAZY_ONLY = ("matplotlib", "scipy", "pyarrow", "distributed")
MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
PRINTERS = ("mrsim/cli.py", "mrsim/__main__.py")


def test_the_tree_is_there() -> None:
    names = {tree.name_of(path) for path in MODULES}
    assert {"mrsim/trace.py", "mrsim/metrics.py", "mrsim/scenario/model.py"} <= names


def test_modules_import_only_from_the_layers_before_them() -> None:
    assert lint_imports(config_filename=str(tree.ROOT / "pyproject.toml"), no_cache=True, verbose=False) == 0


def test_outside_packages_stay_in_their_rooms() -> None:
    wrong = []
    for path in MODULES:
        name = tree.name_of(path)
        for imported, line, inside in tree.imports(path):
            package = imported.split(".")[0]
            allowed = ONLY_IN.get(package)
            if allowed is not None and not any(name.startswith(room) for room in allowed):
                wrong.append(f"{name}:{line} imports {imported}, which belongs in {allowed or 'no module'}")
            if package in LAZY_ONLY and not inside:
                wrong.append(f"{name}:{line} imports {imported} at module level; import it where it is used")
    assert not wrong


def test_generators_are_made_in_rng_only() -> None:
    used = []
    for path in MODULES:
        name = tree.name_of(path)
        used += [f"{name}:{line}" for imported, line, _ in tree.imports(path) if imported.startswith("numpy.random")]
        for node in ast.walk(tree.parse(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("np.random", "numpy.random")):
                used.append(f"{name}:{node.lineno}")
    assert {place.partition(":")[0] for place in used} == {"mrsim/rng.py"}


def test_imports_are_absolute_and_never_the_facade() -> None:
    wrong = [
        f"{tree.name_of(path)}:{line} imports {name}"
        for path in MODULES
        for name, line, _ in tree.imports(path)
        if name.startswith(".") or name == "mrsim"
    ]
    assert not wrong


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{tree.name_of(path)}:{node.lineno}"
        for path in MODULES
        if tree.name_of(path) not in PRINTERS
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write")
    ]
    assert not prints


def test_functions_and_modules_can_be_read_at_once() -> None:
    long = [
        f"{tree.name_of(path)}, {node.name}: {lines}"
        for path in MODULES
        for node in tree.functions(path)
        if (lines := _own_lines(node)) > MAX_FUNCTION_LINES
    ]
    for path in MODULES:
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_MODULE_LINES:
            long.append(f"{tree.name_of(path)}: {lines}")
    assert not long


def _own_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_state_at_module_level() -> None:
    statements = [
        f"{tree.name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.Global)
    ]
    assert not statements


def test_modules_and_their_public_functions_and_classes_are_documented() -> None:
    missing = [tree.name_of(path) for path in MODULES if not ast.get_docstring(tree.parse(path))]
    for path in MODULES:
        missing += [
            f"{tree.name_of(path)}, {name}" for name, node in _public(tree.parse(path)) if not ast.get_docstring(node)
        ]
    assert not missing


Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    for child in node.body:
        if isinstance(child, Documented) and not child.name.startswith("_") and not _is_overload(child):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from _public(child, f"{prefix}{child.name}.")


def _is_overload(node: Documented) -> bool:
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TO" r"DO|FIX" r"ME|raise NotImplemented" r"Error)\b")
    assert not _lines_matching(words, {".py", ".md", ".yaml", ".toml"})


def test_no_path_of_one_machine_and_no_registry_address() -> None:
    places = re.compile(r"(?<![\w.])/(home|work|root|Users|opt|tmp|mnt)/\w|--(extra-)?index-url|file://")
    assert not _lines_matching(places, tree.TEXT)


def _lines_matching(pattern: re.Pattern[str], suffixes: set[str]) -> list[str]:
    found = []
    for path in tree.tracked_files():
        if path.suffix not in suffixes or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{tree.name_of(path)}:{number}: {line.strip()[:120]}")
    return found
