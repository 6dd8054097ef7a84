"""What Ctrl-C and SIGTERM do to the command line: the first stops the work, more of them never spoil how it ends."""

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
    """A handler of SIGINT and SIGTERM for one command, and the handlers that were there before.

    A cancelled pipeline and ``timeout`` send SIGTERM; without a handler it would leave worker processes behind. It is
    taken for a Ctrl-C. The first raises :class:`KeyboardInterrupt`. Later ones are ignored, so that neither the report
    of what was finished nor the end of the process breaks off in a traceback; one after :data:`PATIENCE_S` ends
    everything at once.

    Parameters
    ----------
    code
        Exit code of an end at once.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self._first_s: float | None = None
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the signals, if this is the thread that gets them, but for those that somebody has ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)

    def leave(self) -> None:
        """Give the signals back; if there was an interruption, ignore Ctrl-C for the rest of the process."""
        for number, before in self._before.items():
            ignored = number == signal.SIGINT and self._first_s is not None
            signal.signal(number, signal.SIG_IGN if ignored else before)

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
