"""What Ctrl-C does to the command line: the first stops the work, more of them never spoil how it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any, NoReturn

PATIENCE_S = 10.0
"""For this long after the first Ctrl-C, while what was finished is written, more of them are ignored."""


class Interruptions:
    """A handler of SIGINT for one command, and the handler that was there before.

    The first Ctrl-C raises :class:`KeyboardInterrupt`. Later ones are ignored, so that neither the report of what was
    finished nor the end of the process breaks off in a traceback; one after :data:`PATIENCE_S` ends everything at once.

    Parameters
    ----------
    code
        Exit code of an end at once.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self._first_s: float | None = None
        self._before: Any = None

    def install(self) -> None:
        """Take over SIGINT, if this is the thread that gets it and nobody has it ignored."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._handle)

    def leave(self) -> None:
        """Give SIGINT back; if there was an interruption, ignore more of them for the rest of the process."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before if self._first_s is None else signal.SIG_IGN)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._first_s is None:
            self._first_s = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self._first_s > PATIENCE_S:
            self._end()

    def _end(self) -> NoReturn:
        from multiprocessing import active_children

        for process in active_children():
            process.kill()
        os._exit(self._code)
