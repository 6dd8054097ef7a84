"""The program ``mrsim``, and ``python -m mrsim``."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; a Ctrl-C while it is being loaded ends it as one later does."""
    try:
        from mrsim.cli import main as command_line
    except KeyboardInterrupt:
        print("mrsim: interrupted", file=sys.stderr)
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
