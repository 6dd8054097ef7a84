"""The measurements, as they were taken; see ``tests/lab/data/README.md``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

DATA = Path(__file__).parent / "data"


@cache
def table(name: str) -> pd.DataFrame:
    """Read one data set; its rows keep the order of measurement."""
    return pd.read_csv(DATA / f"{name}.csv.gz")
