"""The utility's feed: read whole, or refused with every fault."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from controller.app.feed import read_feed
from controller.errors import InputError

START = datetime(2014, 1, 27, tzinfo=UTC)


def write(folder: Path, *, csv: bool = False, steps: int = 8, **columns: Any) -> None:
    """Both tables with plausible values, changed by `columns`."""
    times = [START + timedelta(minutes=15 * i) for i in range(steps)]
    area = pd.DataFrame({"time_utc": times, "load_kw": 80_000.0, "temp_c": 30.0})
    weather = pd.DataFrame({"time_utc": times, "temp_forecast_c": 31.0, "mae_c": 0.8})
    for name, values in columns.items():
        (area if name in area or name == "extra" else weather)[name] = values
    for name, table in (("area_load", area), ("weather_forecast", weather)):
        if csv:
            table.to_csv(folder / f"{name}.csv", index=False)
        else:
            table.to_parquet(folder / f"{name}.parquet")


@pytest.mark.parametrize("csv", [False, True])
def test_parquet_and_csv_say_the_same(tmp_path: Path, csv: bool):
    write(tmp_path, csv=csv)

    feed = read_feed(tmp_path)

    assert feed.load.grid.start == START
    assert feed.load.grid.step == timedelta(minutes=15)
    assert feed.load.values.tolist() == [80_000.0] * 8
    assert feed.weather.values.tolist() == [31.0] * 8
    assert feed.weather_mae_c == 0.8


def test_both_tables_are_looked_at_before_anything_is_said(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        read_feed(tmp_path)

    assert len(caught.value.faults) == 2


def test_a_gap_in_time_is_refused(tmp_path: Path):
    write(tmp_path)
    table = pd.read_parquet(tmp_path / "area_load.parquet").drop(index=3)
    table.to_parquet(tmp_path / "area_load.parquet")

    with pytest.raises(InputError, match="regular, ascending steps"):
        read_feed(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path):
    write(tmp_path)
    table = pd.read_parquet(tmp_path / "area_load.parquet").drop(columns="temp_c")
    table.to_parquet(tmp_path / "area_load.parquet")

    with pytest.raises(InputError, match="also temp_c"):
        read_feed(tmp_path)


def test_text_where_a_number_should_be_is_refused(tmp_path: Path):
    write(tmp_path, csv=True, load_kw="much")

    with pytest.raises(InputError, match="instants and numbers"):
        read_feed(tmp_path)
