"""Every error mrsim raises on purpose, under one base class."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


class MrsimError(Exception):
    """Base of all errors that mrsim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a scenario file.

    Attributes
    ----------
    message
        What is wrong, in one sentence, with the offending value in it.
    where
        Path inside the document, such as ``stores.orders-db.endpoint.ttl``; empty for the file as a whole.
    line, column
        One-based position in the file; 0 where there is none.
    hint
        The nearest valid value or the way out; may be empty.
    """

    message: str
    where: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""


MOST_SHOWN = 40
"""Problems of one file that a message shows."""


class ScenarioError(MrsimError):
    """A scenario file or a budget expression that cannot be used; carries every problem found, and shows the first."""

    def __init__(self, problems: list[Problem], path: str = "<scenario>") -> None:
        self.problems = tuple(problems)
        self.path = path
        super().__init__(self._text())

    def _text(self) -> str:
        lines = []
        for problem in self.problems[:MOST_SHOWN]:
            place = f"{self.path}:{problem.line}:{problem.column}" if problem.line else self.path
            where = f" {problem.where}:" if problem.where else ""
            hint = f" ({problem.hint})" if problem.hint else ""
            lines.append(f"{place}:{where} {problem.message}{hint}")
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"{self.path}: and {len(self.problems) - MOST_SHOWN} more; is it a scenario file?")
        return "\n".join(lines)


@dataclass(eq=False)
class SimulationError(MrsimError):
    """An internal invariant broke inside one trial: a bug in mrsim, never the user's fault.

    The message carries the seed and the trial, so that the trial can be replayed alone.
    """

    message: str
    seed: int
    trial: int
    at_s: float = field(default=float("nan"))

    def __str__(self) -> str:
        return f"{self.message} (seed {self.seed}, trial {self.trial}, t = {self.at_s:.3f} s)"

    def __reduce__(self) -> tuple[type[SimulationError], tuple[str, int, int, float]]:
        return type(self), (self.message, self.seed, self.trial, self.at_s)


class ResultsError(MrsimError):
    """A results file that cannot be read, or a question the results cannot answer."""


class BaselineError(MrsimError):
    """A baseline that cannot be made or read; the message names file and line."""


class InvalidScenarios(MrsimError):
    """Several scenario files that cannot be used: their messages, each with its place."""


class MeasurementsError(MrsimError):
    """Measurements or records of drills that cannot be used; the message names file and line."""


class ExtraError(MrsimError):
    """Something was asked for that needs packages which are not installed: those of an extra."""

    def __init__(self, extra: str) -> None:
        python = sys.executable or "python"
        super().__init__(f"this needs packages that are not installed: {python} -m pip install 'mrsim[{extra}]'")
