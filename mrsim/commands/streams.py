"""The process's own output: made fit to be written before a command runs, and what is said when it cannot be."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any


def prepare() -> None:
    """See to it that standard output and error can be written, and that a write that fails is noticed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started the process, as in «mrsim ... >&-»
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            # PYTHONUNBUFFERED, usual in containers: what a disk that is nearly full did not take would be dropped
            # without an error.
            kept = {"encoding": stream.encoding, "errors": stream.errors}
            setattr(sys, name, os.fdopen(stream.fileno(), "w", buffering=1, closefd=False, **kept))


def mute(stream: Any) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush does not fail again."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def why(error: OSError) -> str:
    """Return what could not be read or written, and why.

    Parameters
    ----------
    error
        An error that names no file is one of standard output if it was raised by what writes there.
    """
    name, last = error.filename, error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if not name and last is not None and last.tb_frame.f_globals.get("__name__") in ("click.utils", "mrsim.cli"):
        name = "standard output"
    reason = error.strerror or str(error)
    return f"{name}: {reason}" if name else reason
