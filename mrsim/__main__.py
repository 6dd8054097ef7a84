"""``python -m mrsim``: the command line."""

from __future__ import annotations

from mrsim.cli import main

if __name__ == "__main__":
    main()
