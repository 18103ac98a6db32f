"""Load and temperature files: what is read, what is said, what is refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.errors import InputError
from controller.meters.load_files import read_load_files
from tests.load_cases import START, load_csv, shape, times, write


@pytest.mark.parametrize("name", ["load.csv", "load.parquet"])
@pytest.mark.parametrize("step_min", [15, 30, 60])
def test_the_resolution_is_found_from_the_rows(tmp_path: Path, name: str, step_min: int):
    load = shape(3, 1440 // step_min)
    frame = pd.DataFrame({"time_utc": times(len(load), step_min), "load_mw": load})
    files = read_load_files(write(tmp_path / name, frame))
    assert files.grid.step == timedelta(minutes=step_min)
    assert (files.ids, files.unit, files.kw_per_unit) == (("all",), "MW", 1000.0)
    np.testing.assert_allclose(files.kw[0], load * 1000)


def test_rows_may_come_unsorted_and_with_gaps(tmp_path: Path):
    frame = pd.DataFrame({"time_utc": times(48), "load_kw": np.arange(48.0)})
    frame = frame.drop(index=[5, 6]).sample(frac=1, random_state=2)
    frame.loc[frame.load_kw == 9, "load_kw"] = np.nan
    files = read_load_files(write(tmp_path / "load.csv", frame))
    assert files.grid.count == 48
    assert np.flatnonzero(np.isnan(files.kw[0])).tolist() == [5, 6, 9]


def test_of_two_rows_for_one_instant_the_later_counts_and_it_is_said(tmp_path: Path):
    frame = pd.DataFrame({"time_utc": times(48), "load_kw": 1.0 + np.arange(48)})
    again = pd.DataFrame({"time_utc": times(2), "load_kw": [100.0, 2.0]})
    files = read_load_files(write(tmp_path / "load.csv", pd.concat([frame, again])))
    assert files.kw[0, :2].tolist() == [100.0, 2.0]
    assert any("1 rows repeat an instant" in note for note in files.notes)


def test_each_id_is_a_series_in_natural_order(tmp_path: Path):
    zones = [pd.DataFrame({"time_utc": times(24), "zone_id": z, "load_kw": float(z)})
             for z in (10, 9, 1)]  # fmt: skip
    files = read_load_files(write(tmp_path / "load.parquet", pd.concat(zones)))
    assert files.ids == ("1", "9", "10")
    assert files.kw[:, 0].tolist() == [1.0, 9.0, 10.0]


def test_many_repeated_instants_without_an_id_are_refused_with_the_columns(tmp_path: Path):
    parts = [pd.DataFrame({"time_utc": times(24), "quarter": q, "load_kw": float(i)})
             for i, q in enumerate("ab")]  # fmt: skip
    path = write(tmp_path / "load.csv", pd.concat(parts))
    with pytest.raises(InputError, match="quarter"):
        read_load_files(path)
    assert read_load_files(path, id="quarter").ids == ("a", "b")


def test_two_loads_are_refused_by_name_and_can_be_chosen(tmp_path: Path):
    path = load_csv(tmp_path, demand_mw=5.0)
    with pytest.raises(InputError, match="load_kw, demand_mw"):
        read_load_files(path)
    assert read_load_files(path, value="demand_mw").kw[0, 0] == 5000.0


def test_a_power_goes_before_an_energy_and_an_energy_is_made_a_power(tmp_path: Path):
    frame = pd.DataFrame({"time_utc": times(24, 30), "energy_kwh": 2.0})
    both = frame.assign(power_kw=7.0)
    assert read_load_files(write(tmp_path / "b.csv", both)).kw[0, 0] == 7.0
    assert read_load_files(write(tmp_path / "e.csv", frame)).kw[0, 0] == 4.0


def test_times_without_a_zone_are_read_as_utc_and_offsets_are_kept(tmp_path: Path):
    rows = ["2024-01-01 00:00", "2024-01-01T02:00:00+01:00", "2024-01-01T02:00:00Z"]
    frame = pd.DataFrame({"time_utc": rows, "load_kw": [1.0, 2.0, 3.0]})
    files = read_load_files(write(tmp_path / "load.csv", frame))
    assert files.kw[0].tolist() == [1.0, 2.0, 3.0]
    assert any("1 of 3 times name no zone" in note for note in files.notes)


def test_every_fault_is_named_with_file_and_row(tmp_path: Path):
    rows = ["2024-01-01T00:00Z", "soon", "2024-01-01T02:07Z", "2024-01-01T03:00Z"]
    load = write(tmp_path / "l.csv", pd.DataFrame({"time_utc": rows, "load_kw": [1, 2, 3, "x"]}))
    temps = pd.DataFrame({"time_utc": times(3), "temp_c": [1.0, 300.0, 2.0]})
    with pytest.raises(InputError) as caught:
        read_load_files(load, [write(tmp_path / "t.csv", temps)])
    said = [str(f) for f in caught.value.faults]
    assert len(said) == 4
    assert caught.value.exit_code == 2
    for words in ("row 2, time_utc: soon", "row 3, time_utc", "row 4, load_kw: x", "row 2, temp_c"):
        assert any(words in line for line in said), words


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    for name, content in (("a.csv", ""), ("b.csv", "a;b\n1;2\n"), ("c.parquet", "PAR1")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError):
            read_load_files(tmp_path / name)
    with pytest.raises(InputError, match="absent"):
        read_load_files(tmp_path / "absent.csv")


def test_temperatures_wide_long_numbered_and_issued_are_stations(tmp_path: Path):
    load = load_csv(tmp_path, days=2)
    degrees = {"temp1_c": 1.0, "temp_c_north": 2.0, "temp_forecast_c_north": 3.0}
    frame = pd.DataFrame({"time_utc": times(48), **degrees, "temp_c_fc_6h": 9.0, "wind": 4.0})
    wide = write(tmp_path / "wide.csv", frame)
    long = [
        pd.DataFrame({"time_utc": times(48), "station_id": s, "temp_c": t, "temp_forecast_c": t})
        for s, t in ((7, 5.0), (8, 6.0))
    ]
    files = read_load_files(load, [wide, write(tmp_path / "long.parquet", pd.concat(long))])
    assert files.stations == ("1", "north", "7", "8")
    assert files.temp_c[:, 0].tolist() == [1.0, 2.0, 5.0, 6.0]
    np.testing.assert_array_equal(files.issued_c[:, 0], [np.nan, 3.0, 5.0, 6.0])
    assert files.ignored == ("temp_c_fc_6h", "wind")


def test_two_files_with_a_nameless_temperature_each_are_two_stations(tmp_path: Path):
    load = load_csv(tmp_path, days=2)
    temps = [write(tmp_path / f"{n}.csv", pd.DataFrame({"time_utc": times(48), "temp_c": c}))
             for n, c in (("east", 1.0), ("west", 2.0))]  # fmt: skip
    assert read_load_files(load, temps).stations == ("east", "west")


def test_hourly_weather_beside_half_hours_never_knows_the_next_hour(tmp_path: Path):
    load = load_csv(tmp_path, days=1, step_min=30)
    temps = pd.DataFrame({"time_utc": times(24), "temp_c": np.arange(24.0)})
    files = read_load_files(load, [write(tmp_path / "t.csv", temps)])
    assert files.temp_c[0, :4].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_quarter_hourly_weather_is_averaged_for_hours(tmp_path: Path):
    temps = pd.DataFrame({"time_utc": times(96, 15), "temp_c": np.tile([0.0, 1.0, 2.0, 3.0], 24)})
    files = read_load_files(load_csv(tmp_path, days=1), [write(tmp_path / "t.csv", temps)])
    assert files.temp_c[0].tolist() == [1.5] * 24


def test_issued_forecasts_reach_beyond_the_load(tmp_path: Path):
    temps = pd.DataFrame({"time_utc": times(72), "temp_forecast_c": np.arange(72) / 2})
    files = read_load_files(load_csv(tmp_path, days=2), [write(tmp_path / "t.csv", temps)])
    assert files.grid.count == 72
    assert files.known_until == START + timedelta(days=2)
    assert np.isnan(files.kw[0, 48:]).all()
    assert files.issued_c[0, 71] == 35.5


def test_the_loads_own_temperatures_by_series_are_a_station_each(tmp_path: Path):
    zones = [pd.DataFrame({"time_utc": times(24), "zone": z, "load_mw": 1.0, "temp_c": t})
             for z, t in (("a", 1.0), ("b", 2.0))]  # fmt: skip
    files = read_load_files(write(tmp_path / "load.csv", pd.concat(zones)))
    assert files.stations == ("a", "b")
    assert files.temp_c[:, 3].tolist() == [1.0, 2.0]


def test_a_distant_stray_instant_does_not_cost_the_machine(tmp_path: Path):
    load = load_csv(tmp_path, days=2)
    stray = pd.DataFrame({"time_utc": ["1850-01-01T00:00Z"], "load_kw": [1.0]})
    path = write(tmp_path / "stray.csv", pd.concat([pd.read_csv(load), stray]))
    with pytest.raises(InputError, match="in the years"):
        read_load_files(path)


def test_all_loads_missing_is_a_fault(tmp_path: Path):
    frame = pd.DataFrame({"time_utc": times(24), "load_kw": [None] * 24})
    with pytest.raises(InputError, match="at least one load"):
        read_load_files(write(tmp_path / "load.csv", frame))


def test_a_clock_change_is_nothing_to_instants(tmp_path: Path):
    local = pd.date_range("2024-03-30", "2024-04-02", freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"time_utc": [t.isoformat() for t in local], "load_kw": 1.0})
    files = read_load_files(write(tmp_path / "load.csv", frame))
    assert not np.isnan(files.kw).any()
    assert files.grid.start == datetime(2024, 3, 29, 23, tzinfo=UTC)
