"""A folder that a study's trials are written to as they finish, so that a study survives whatever ends its process.

``study.json`` says which study it is. ``trials/FIRST-LAST.parquet`` hold the trials: a file per chunk at first, and
once all chunks of a block of :data:`BLOCK` trials are there, one file in their place. Each file appears whole or not at
all. The files of a finished study depend on scenario, seed and number of trials alone, however often it was ended and
gone on with.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mrsim.errors import ResultsError
from mrsim.rng import fresh_seed
from mrsim.study import parquet
from mrsim.study.documents import digest, scenario_document, scenario_of
from mrsim.study.locks import locked
from mrsim.study.provenance import provenance
from mrsim.study.storage import PART, write_atomically
from mrsim.study.stored import Piece, StoredResults

if TYPE_CHECKING:
    from os import PathLike

    from mrsim.scenario.model import Scenario
    from mrsim.study.collect import Chunk

FORMAT = 1
"""Number of the layout; goes up when an older version could not read it."""

BLOCK = 8192
"""Trials per file in the end: some ten megabytes, which is what one merge holds in memory."""

MANIFEST, TRIALS, LOCK = "study.json", "trials", ".lock"
_PIECE = re.compile(r"(\d{10})-(\d{10})\.parquet")
_COUNTS = ("trials_asked", "trials")
"""What in a provenance may differ between two runs of one study."""


class Manifest(NamedTuple):
    """What a store says of its study: the scenario as a document, and the provenance without what is there."""

    scenario: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def study(self) -> str:
        """What tells the study from others."""
        return digest({name: value for name, value in self.provenance.items() if name not in _COUNTS})


class Store:
    """The folder of one study, to be written.

    Parameters
    ----------
    path
        The folder; made if it is not there.
    scenario
        Of the study.
    seed
        Of the study; that of the study in the folder if not given, or drawn.
    resume
        Whether the folder may hold the beginning of this very study.

    Attributes
    ----------
    seed
        Of the study.
    found
        How many trials were there at first.

    Raises
    ------
    ExtraError
        If the package for Parquet is not installed.
    ResultsError
        If the folder holds a study and ``resume`` is false, or it is another one; or if it holds something else.
    OSError
        If it cannot be read.
    """

    def __init__(
        self, path: str | PathLike[str], scenario: Scenario, seed: int | None = None, *, resume: bool = False
    ) -> None:
        parquet.needed()
        self.path = Path(path)
        self._scenario = scenario
        there = manifest_of(self.path)
        if there is None:
            _check_free(self.path)
            self.seed = fresh_seed() if seed is None else seed
        else:
            self.seed = int(there.provenance["seed"]) if seed is None else seed
        self._manifest = Manifest(scenario_document(scenario), self._provenance(0, 0))
        self.asked = 0 if there is None else int(there.provenance["trials_asked"])
        self._pieces = sorted(_pieces(self.path))
        self.found = sum(map(len, _outermost(self._pieces)))
        if there is not None:
            _check_same(self.path, there, self._manifest, self.found, resume=resume)
        self._open: dict[Piece, Any] = {}

    def done_of(self, trials: int) -> int:
        """Return how many of the first ``trials`` there are."""
        return trials - sum(after - first for first, after in self.missing(trials))

    def missing(self, trials: int) -> list[tuple[int, int]]:
        """Return what is left to run of the first ``trials`` trials: firsts, and those after the last."""
        left, at = [], 0
        for piece in self._pieces:
            if at < min(piece.first, trials):
                left.append((at, min(piece.first, trials)))
            at = piece.after
        return [*left, (at, trials)] if at < trials else left

    @contextmanager
    def writing(self, trials: int) -> Iterator[None]:
        """Have the folder to oneself, to make the study ``trials`` long.

        Raises
        ------
        ResultsError
            If another process has it, or has begun another study there.
        OSError
            If it cannot be written.
        """
        with self._named():
            (self.path / TRIALS).mkdir(parents=True, exist_ok=True)
        with locked(self.path / LOCK):
            there = manifest_of(self.path)
            if there is not None and there.study != self._manifest.study:
                message = f"{self.path}: another process has begun another study there"
                raise ResultsError(message)
            with self._named():
                self._tidy()
                self.asked = max(self.asked, trials, 0 if there is None else int(there.provenance["trials_asked"]))
                self._declare()
            try:
                yield
            finally:
                self._open.clear()

    def add(self, chunk: Chunk) -> None:
        """Write a chunk; one that is there already is left as it is.

        Raises
        ------
        OSError
            If it cannot be written; what was written before stays.
        """
        first = chunk.measures.first
        piece = Piece(self.path / TRIALS, first, first + chunk.measures.count)
        with self._named():
            if not any(one.holds(piece) for one in self._pieces):
                table = parquet.table_of(chunk, self._manifest.study)
                parquet.write(piece.path, table, packed=False)
                self._open[piece] = table
                self._pieces = sorted([*self._pieces, piece])
            self._merge(first // BLOCK, whole=True)

    def finish(self) -> None:
        """Give the files their final form.

        Raises
        ------
        OSError
            If they cannot be written; what was there stays.
        """
        with self._named():
            for block in sorted({piece.first // BLOCK for piece in self._pieces}):
                self._merge(block, whole=False)

    def results(self, trials: int) -> StoredResults:
        """Return what there is of the first ``trials`` trials, read from the files when it is asked for."""
        return StoredResults(self._scenario, self._manifest.study, tuple(self._pieces), trials, self._provenance)

    def _provenance(self, trials: int, asked: int) -> dict[str, Any]:
        return provenance(self._scenario, seed=self.seed, trials_asked=asked, trials=trials)

    def _declare(self) -> None:
        """Write down which study this is, and how long it is to be."""
        said = {name: value for name, value in self._provenance(0, self.asked).items() if name != "trials"}
        text = json.dumps({"format": FORMAT, "provenance": said, "scenario": self._manifest.scenario}, indent=1)
        if not (self.path / MANIFEST).exists() or (self.path / MANIFEST).read_text(encoding="utf-8") != text:
            write_atomically(self.path / MANIFEST, lambda file: file.write(text.encode()))

    def _tidy(self) -> None:
        """Remove what a process left that was killed in the middle, and look again at what is there."""
        for folder in (self.path, self.path / TRIALS):
            for left in folder.glob(f".*{PART}"):
                left.unlink()
        there = sorted(_pieces(self.path))
        self._pieces = _outermost(there)
        for piece in there:
            if piece not in self._pieces:
                piece.path.unlink()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say of a failed write which folder it is about, and whether anything is kept there."""
        try:
            yield
        except OSError as error:
            said = error.strerror or str(error)
            kept = "; what was finished before is kept, and can be resumed" if self._pieces else ""
            raise OSError(error.errno, f"{said}{kept}", os.fspath(self.path)) from error

    def _merge(self, block: int, *, whole: bool) -> None:
        """Put one file in the place of those of a block, if they leave no gap.

        Parameters
        ----------
        block
            Its number.
        whole
            Whether to wait until all its trials are there.
        """
        first = block * BLOCK
        mine = [piece for piece in self._pieces if first <= piece.first < first + BLOCK]
        after = first + sum(map(len, mine))
        if len(mine) < 2 or mine[-1].after != after or (whole and after != first + BLOCK):
            return
        merged = Piece(self.path / TRIALS, first, after)
        tables = [self._open[piece] if piece in self._open else parquet.read(piece.path) for piece in mine]
        parquet.write(merged.path, parquet.joined(tables), packed=True)
        self._pieces = sorted([merged, *(piece for piece in self._pieces if piece not in mine)])
        for piece in mine:
            self._open.pop(piece, None)
            piece.path.unlink()


def load(path: str | PathLike[str]) -> StoredResults:
    """Return what a store holds, read from its files when it is asked for; see :meth:`Results.load`.

    Raises
    ------
    ResultsError
        If it is no store, or one that cannot be read.
    ExtraError
        If the package for Parquet is not installed.
    """
    parquet.needed()
    folder = Path(path)
    there = manifest_of(folder)
    if there is None:
        message = f"{path}: is a directory without {MANIFEST}: not a store of trials"
        raise ResultsError(message)
    try:
        scenario = scenario_of(there.scenario)
        asked = int(there.provenance["trials_asked"])
    except (KeyError, TypeError, ValueError, AttributeError, ImportError) as error:
        raise _damaged(folder / MANIFEST, error) from error
    pieces = tuple(_outermost(sorted(_pieces(folder))))
    if not pieces:
        message = f"{path}: none of the {asked} trials is finished yet"
        raise ResultsError(message)
    return StoredResults(scenario, there.study, pieces, asked, partial(_provenance, there))


def _provenance(there: Manifest, trials: int, _asked: int) -> dict[str, Any]:
    """Return a provenance with the number of trials in its place."""
    found: dict[str, Any] = {}
    for name, value in there.provenance.items():
        found[name] = value
        if name == "trials_asked":
            found["trials"] = trials
    return found


def manifest_of(folder: Path) -> Manifest | None:
    """Return what a folder says of its study; None if it holds none.

    Raises
    ------
    ResultsError
        If it cannot be read, or is of a layout that this version does not know.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            message = f"{folder}: a store of layout {found['format']}; this version knows layout {FORMAT}"
            raise ResultsError(message)
        return Manifest(dict(found["scenario"]), dict(found["provenance"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise ResultsError(message) from error
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ResultsError:
    return ResultsError(f"{path}: does not describe a study, or is damaged ({type(error).__name__})")


def _check_free(folder: Path) -> None:
    """Refuse a place where a new study cannot be kept."""
    if folder.exists() and not folder.is_dir():
        message = f"{folder}: is a file; a store is a folder"
        raise ResultsError(message)
    if folder.is_dir() and any(not _ours(entry) for entry in folder.iterdir()):
        message = f"{folder}: holds files and no study; a store begins in a new or an empty folder"
        raise ResultsError(message)


def _ours(entry: Path) -> bool:
    """Whether a process that was killed at once could have left this."""
    empty = entry.name == TRIALS and entry.is_dir() and not any(entry.iterdir())
    return empty or entry.name == LOCK or (entry.name.startswith(".") and entry.name.endswith(PART))


def _check_same(folder: Path, there: Manifest, here: Manifest, found: int, *, resume: bool) -> None:
    """Refuse to go on with another study than this one, or without being asked to."""
    if not resume:
        asked = there.provenance.get("trials_asked")
        held = f"{found} of {asked} trials of {there.provenance.get('scenario')}, seed {there.provenance.get('seed')}"
        message = f"{folder}: holds a study already ({held}): resume it, or name another folder"
        raise ResultsError(message)
    names = dict.fromkeys([*there.provenance, *here.provenance])
    differ = [name for name in names if there.provenance.get(name) != here.provenance.get(name)]
    said = [
        f"{name} {there.provenance.get(name)}, now {here.provenance.get(name)}"
        for name in differ
        if name not in (*_COUNTS, "scenario_sha256")
    ]
    if "scenario_sha256" in differ:
        said.insert(0, f"the scenario differs{_where(there.scenario, here.scenario)}")
    if said:
        message = f"{folder}: cannot go on with another study than was begun there: {'; '.join(said)}"
        raise ResultsError(message)


def _where(one: Any, other: Any, path: str = "") -> str:
    """Return the first place in which two documents differ, as " at stores.orders-db.primary"."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                return _where(one.get(name), other.get(name), f"{path}.{name}" if path else str(name))
    return f" at {path}" if path else ""


def _pieces(folder: Path) -> Iterator[Piece]:
    trials = folder / TRIALS
    for path in trials.iterdir() if trials.is_dir() else ():
        named = _PIECE.fullmatch(path.name)
        if named is not None:
            yield Piece(trials, int(named[1]), int(named[2]) + 1)


def _outermost(pieces: list[Piece]) -> list[Piece]:
    """Return ascending pieces without those that were merged into another and not yet removed."""
    return [piece for piece in pieces if not any(one is not piece and one.holds(piece) for one in pieces)]
