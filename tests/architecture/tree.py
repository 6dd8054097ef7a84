"""The tree as the architecture tests see it: modules as syntax trees, files as text."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mrsim"
ROOMS = ("mrsim", "tests", "benchmarks", "docs", "notebooks", "scenarios", ".ci")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".ipynb", ".txt", ".csv", ""}


@functools.cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a path as the tests name it: relative to the root."""
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    """Return the text files that belong to the repository (all in the known rooms if this is no checkout)."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        found = [ROOT / line for line in listing.stdout.split("\0") if line]
    else:
        found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts]
    return sorted(path for path in found if path.is_file() and path.suffix in TEXT)


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield (imported module, line, inside a function) for every import of a file, type-checking ones left out."""
    yield from _imports(parse(path), inside=False)


def _imports(node: ast.AST, *, inside: bool) -> Iterator[tuple[str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(other, inside=inside)
        elif isinstance(child, ast.Import):
            for alias in child.names:
                yield alias.name, child.lineno, inside
        elif isinstance(child, ast.ImportFrom):
            for name in _imported_from(child):
                yield name, child.lineno, inside
        else:
            deeper = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, inside=deeper)


def _imported_from(node: ast.ImportFrom) -> set[str]:
    """Return what a from-import loads: `from mrsim import units` loads a module, not a name of the facade."""
    module = "." * node.level + (node.module or "")
    if module != "mrsim":
        return {module}
    known = {
        alias.name for alias in node.names if list(PACKAGE.glob(f"{alias.name}.py")) or (PACKAGE / alias.name).is_dir()
    }
    return {f"mrsim.{alias.name}" if alias.name in known else "mrsim" for alias in node.names}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a file."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
