"""A folder that only one process writes to at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mrsim.errors import ResultsError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, which ends with the process, however it ends; without any effect where there are no such.

    Raises
    ------
    ResultsError
        If another process holds it.
    OSError
        If the file cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"{path.parent}: another process is writing to it"
                raise ResultsError(message) from error
        yield
    finally:
        os.close(handle)
