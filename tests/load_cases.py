"""Small synthetic loads for the tests of forecasts from files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

START = datetime(2024, 1, 1, tzinfo=UTC)


def shape(days: int, per_day: int = 24, *, seed: int = 1, level: float = 1000.0) -> np.ndarray:
    """A load with a daily and a weekly habit and some noise, (days × per_day,)."""
    rng = np.random.default_rng(seed)
    t = np.arange(days * per_day) / per_day
    day = 1 + 0.25 * np.sin(2 * np.pi * (t - 0.3)) + 0.08 * np.sin(4 * np.pi * (t - 0.1))
    week = np.where(np.floor(t) % 7 >= 5, 0.85, 1.0)
    return level * day * week * (1 + 0.015 * rng.standard_normal(len(t)))


def times(count: int, step_min: int = 60, start: datetime = START) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq=f"{step_min}min")


def write(path: Path, frame: pd.DataFrame) -> Path:
    """As CSV or Parquet, by the file's name."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def load_csv(folder: Path, days: int = 50, step_min: int = 60, **columns: object) -> Path:
    """A file of one series, or of what `columns` say instead."""
    per_day = 24 * 60 // step_min
    frame = pd.DataFrame({
        "time_utc": times(days * per_day, step_min), "load_kw": shape(days, per_day), **columns,
    })  # fmt: skip
    return write(folder / "load.csv", frame)


def day(n: int) -> datetime:
    return START + timedelta(days=n)
