"""Meter files: what is right is stored as it stands, what is wrong is all named at once."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.clock import SystemClock
from controller.errors import MeterFileError
from controller.meters import import_meters, read_meter_files
from controller.meters.file import SHOWN
from controller.model.ids import CustomerId, MeterId, ZoneId
from controller.model.resources import Meter
from controller.model.time import QUARTER_HOUR, Interval
from controller.store import open_store

START = datetime(2014, 1, 1, tzinfo=UTC)
NAN = float("nan")
ZONE = ZoneId("riverside")


def meters(*ids):
    return [Meter(id=MeterId(i), customer_id=CustomerId("c"), resource_ids=()) for i in ids]


MILL_AND_HOME = meters("mill-3", "home-1")


def at(quarter):
    return START + quarter * QUARTER_HOUR


def table(rows, *, ids=None, times=None, kw=None):
    """Rows (id, quarter hour, kW) as the Arrow table that a utility would hand over."""
    names, quarters, values = zip(*rows, strict=True) if rows else ((), (), ())
    instants = [q if isinstance(q, datetime) or q is None else at(q) for q in quarters]
    return pa.table(
        {
            "meter_id": pa.array(names, ids or pa.string()),
            "time_utc": pa.array(instants, times or pa.timestamp("us", tz="UTC")),
            "kw": pa.array(values, kw or pa.float32()),
        }
    )


def parquet(folder, rows, name="a.parquet", **types):
    path = folder / name
    pq.write_table(table(rows, **types), path)
    return path


def csv(folder, *lines, name="a.csv", header="meter_id,time_utc,kw"):
    path = folder / name
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def faults(*paths, fleet=MILL_AND_HOME, **options):
    """Every fault as (place, value, expected)."""
    with pytest.raises(MeterFileError) as caught:
        read_meter_files(paths, fleet, **options)
    return [(f.place, f.value, f.expected) for f in caught.value.faults]


def test_rows_in_any_order_become_columns_in_the_order_of_the_fleet(tmp_path):
    path = parquet(
        tmp_path, [("home-1", 5, 0.5), ("mill-3", 0, 800.0), ("home-1", 0, -1.25), ("mill-3", 5, 0)]
    )
    got = read_meter_files([path], MILL_AND_HOME)
    assert got.times == (at(0), at(5)), "only times that occur"
    np.testing.assert_array_equal(got.values, np.array([[800.0, -1.25], [0.0, 0.5]], np.float32))
    assert got.values.dtype == np.float32
    assert (got.rows, got.duplicates, dict(got.unknown)) == (4, 0, {})


def test_what_is_not_said_is_missing_and_never_zero(tmp_path):
    path = parquet(tmp_path, [("mill-3", 0, None), ("home-1", 1, NAN), ("home-1", 2, 1.0)])
    np.testing.assert_array_equal(
        read_meter_files([path], MILL_AND_HOME).values, [[NAN, NAN], [NAN, NAN], [NAN, 1.0]]
    )


def test_a_csv_file_says_the_same_as_a_parquet_file(tmp_path):
    rows = [("mill-3", 0, 800.5), ("home-1", 0, -0.25), ("home-1", 1, None)]
    one = read_meter_files([parquet(tmp_path, rows)], MILL_AND_HOME)
    lines = [
        "2014-01-01T00:00:00Z,mill-3,800.5",
        "2014-01-01 11:00:00+11:00,home-1,-2.5e-1",
        "2014-01-01T00:15Z,home-1,",
    ]
    path = csv(tmp_path, *lines, header="\ufefftime_utc,meter_id,kw")
    two = read_meter_files([path], MILL_AND_HOME)
    assert one.times == two.times
    np.testing.assert_array_equal(one.values, two.values)


TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
UNITS = [pa.timestamp(u, tz=z) for u in ("s", "ms", "us", "ns") for z in ("UTC", "Asia/Shanghai")]
WHOLE = [pa.int32(), pa.decimal128(9, 3)]


@pytest.mark.parametrize("ids", TEXTS, ids=str)
@pytest.mark.parametrize("times", UNITS, ids=str)
@pytest.mark.parametrize("kw", [pa.float32(), pa.float64(), *WHOLE], ids=str)
def test_every_usual_way_to_write_the_columns_is_read(tmp_path, ids, times, kw):
    power = 2 if kw in WHOLE else 2.0
    path = parquet(tmp_path, [("home-1", 1, power)], ids=ids, times=times, kw=kw)
    got = read_meter_files([path], MILL_AND_HOME)
    assert got.times == (at(1),)
    np.testing.assert_array_equal(got.values, [[NAN, 2.0]])


CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 200)),
    st.floats(-1e6, 1e6, width=32) | st.just(NAN),
    min_size=1,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=CELLS, files=st.integers(1, 3), random=st.randoms())
def test_every_row_lands_in_its_place(tmp_path, cells, files, random):
    rows = [(meter, quarter, kw) for (meter, quarter), kw in cells.items()]
    random.shuffle(rows)
    paths = [parquet(tmp_path, rows[i::files], f"{i}.parquet") for i in range(files)]
    got = read_meter_files(paths, meters("a", "b", "c"))
    assert got.times == tuple(sorted({at(quarter) for _, quarter in cells}))
    for j, meter in enumerate("abc"):
        for i, time in enumerate(got.times):
            kw = cells.get((meter, (time - START) // QUARTER_HOUR), NAN)
            np.testing.assert_equal(got.values[i, j], np.float32(kw))


def test_a_repetition_is_counted_and_a_contradiction_is_a_fault(tmp_path):
    one = parquet(tmp_path, [("mill-3", 0, 1.0), ("mill-3", 0, 1.0), ("home-1", 0, None)])
    two = csv(tmp_path, "mill-3,2014-01-01T00:00Z,1", "home-1,2014-01-01T00:00Z,2")
    got = read_meter_files([one, two], MILL_AND_HOME)
    assert (got.rows, got.duplicates) == (5, 3)
    np.testing.assert_array_equal(got.values, [[1.0, 2.0]])
    three = parquet(tmp_path, [("mill-3", 0, 7.0)], "b.parquet")
    assert faults(one, three) == [
        ("mill-3 at 2014-01-01T00:00Z", "7 kW", "1 kW, as another row says")
    ]
    within = parquet(tmp_path, [("home-1", 0, 1.0), ("home-1", 0, 2.0)], "c.parquet")
    assert faults(within) == [("home-1 at 2014-01-01T00:00Z", "1 kW", "2 kW, as another row says")]


def test_unknown_meters_are_listed_and_counted(tmp_path):
    path = parquet(
        tmp_path, [("mill-3", 0, 1.0), ("ghost", 0, 1.0), ("ghost", 1, 1.0), ("x", 0, 9)]
    )
    expected = "a meter of the fleet"
    assert faults(path) == [
        ("meter_id", "ghost (2 rows)", expected),
        ("meter_id", "x (1 rows)", expected),
    ]
    got = read_meter_files([path, path], MILL_AND_HOME, skip_unknown=True)
    assert got.unknown == {"ghost": 4, "x": 2}
    assert (got.times, got.rows) == ((at(0),), 8)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("home-1", at(0) + timedelta(minutes=5), 1.0), ("row 2", "2014-01-01 00:05:00")),
        (("home-1", at(0) + timedelta(seconds=1), 1.0), ("row 2", "2014-01-01 00:00:01")),
        (("home-1", datetime(1970, 1, 1, tzinfo=UTC), 1.0), ("row 2", "1970-01-01 00:00:00")),
        (("home-1", datetime(2200, 1, 1, tzinfo=UTC), 1.0), ("row 2", "2200-01-01 00:00:00")),
        (("home-1", None, 1.0), ("row 2", "no time")),
        (("home-1", 0, float("inf")), ("row 2", "inf kW")),
        (("home-1", 0, -1e30), ("row 2", "-1e+30 kW")),
        ((None, 0, 1.0), ("row 2", "no meter_id")),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_number_and_value(tmp_path, row, fault):
    path = parquet(tmp_path, [("mill-3", 0, 1.0), row, ("mill-3", 1, 1.0)], kw=pa.float64())
    ((place, value, _),) = faults(path)
    assert (place, value.removesuffix(".000000Z")) == fault


@pytest.mark.parametrize(
    ("types", "fault"),
    [
        ({"ids": pa.int64()}, ("column meter_id", "int64", "text")),
        ({"times": pa.timestamp("us")}, ("column time_utc", "timestamp[us]")),
        ({"times": pa.string()}, ("column time_utc", "string")),
        ({"kw": pa.string()}, ("column kw", "string", "a number")),
        ({"kw": pa.bool_()}, ("column kw", "bool", "a number")),
    ],
)
def test_a_column_of_the_wrong_type_is_named(tmp_path, types, fault):
    """A naive time is one of them: nobody may guess its zone."""
    path = parquet(tmp_path, [], **types)
    assert faults(path)[0][: len(fault)] == fault


def test_columns_too_many_and_too_few_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(table([("mill-3", 0, 1.0)]).rename_columns(["meter", "time_utc", "kw"]), path)
    expected = "the columns meter_id, time_utc, kw"
    missing = ("column meter_id", "missing", expected)
    unknown = ("column meter", "unknown", expected)
    assert faults(path) == [missing, unknown]
    lines = csv(tmp_path, "mill-3,2014-01-01T00:00Z,1,1", header="meter,time_utc,kw,kw")
    assert faults(lines) == [missing, unknown, ("column kw", "2 times", expected)]
    assert len(faults(csv(tmp_path, header=""))) == 3


def test_a_file_that_is_no_meter_file_is_named(tmp_path):
    noise = tmp_path / "noise.parquet"
    noise.write_bytes(b"noise" * 100)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(parquet(tmp_path, [("mill-3", 0, 1.0)]).read_bytes()[:-20])
    sheet = tmp_path / "sheet.xlsx"
    sheet.write_bytes(b"PK")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("meter_id,time_utc,kw\nmühle,2014-01-01T00:00Z,1\n".encode("latin-1"))
    found = faults(noise, cut, sheet, latin, tmp_path / "gone.parquet", tmp_path)
    assert [place for place, _, _ in found] == ["file"] * 6
    assert found[2] == ("file", "a .xlsx file", "a .parquet or .csv file")


def test_every_bad_line_of_a_csv_is_named_not_only_the_first(tmp_path):
    path = csv(
        tmp_path,
        "mill-3,2014-01-01T00:00:00,1",
        "mill-3,yesterday,lots",
        "",
        "mill-3,2014-01-01T00:00Z",
        "mill-3,2014-01-01T00:07Z,1",
        "ghost,2014-01-01T00:15Z,1",
        "mill-3,2014-01-01T00:15Z,inf",
        "mill-3,2014-01-01T00:30Z,nan",
        "mill-3,,1",
    )
    assert {(place, value) for place, value, _ in faults(path)} == {
        ("row 1", "2014-01-01T00:00:00"),
        ("row 2", "yesterday"),
        ("row 2", "lots"),
        ("row 3", "2 fields"),
        ("row 4", "2014-01-01 00:07:00.000000Z"),
        ("meter_id", "ghost (1 rows)"),
        ("row 6", "inf kW"),
        ("row 8", "no time"),
    }


def test_a_million_faults_are_not_a_million_lines(tmp_path):
    rows = [("mill-3", at(0) + timedelta(minutes=1), float("inf")) for _ in range(1000)]
    found = faults(parquet(tmp_path, rows))
    assert len(found) == 2 * (SHOWN + 1)
    assert found[SHOWN][:2] == (f"{1000 - SHOWN} more rows", "as the last")
    strangers = [(f"ghost-{n}", 0, 1.0) for n in range(100)]
    found = faults(parquet(tmp_path, strangers))
    assert found[-1][:2] == (f"{100 - SHOWN} more places", "as the last")
    bad = [f"mill-3,2014-01-01T00:00Z,x{n}" for n in range(100)]
    assert len(faults(csv(tmp_path, *bad))) == SHOWN + 1


def test_the_faults_of_all_files_come_together_each_with_its_file(tmp_path):
    one = parquet(tmp_path, [("ghost", 0, 1.0)], "one.parquet")
    two = csv(tmp_path, "mill-3,2014-01-01T00:00,1", name="two.csv")
    good = parquet(tmp_path, [("mill-3", 0, 1.0)], "good.parquet")
    with pytest.raises(MeterFileError, match="2 of 3 meter files") as caught:
        read_meter_files([one, good, two], MILL_AND_HOME)
    assert [f.file for f in caught.value.faults] == [str(one), str(two)]
    assert caught.value.exit_code == 2


def test_files_without_rows_are_no_fault(tmp_path):
    got = read_meter_files([parquet(tmp_path, []), csv(tmp_path)], MILL_AND_HOME)
    assert (got.times, got.values.shape, got.rows) == ((), (0, 2), 0)
    assert read_meter_files([], MILL_AND_HOME).times == ()


def test_more_than_fits_in_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.meters.block.MOST_CELLS", 3)
    path = parquet(tmp_path, [("mill-3", 0, 1.0), ("home-1", 1, 1.0)])
    assert faults(path)[0][:2] == ("file", "2 times × 2 meters together")


async def test_an_import_is_stored_as_meter_frames(tmp_path):
    first = parquet(tmp_path, [("mill-3", 0, 1.0), ("home-1", 1, 2.0)], "first.parquet")
    late = parquet(tmp_path, [("home-1", 0, 5.0), ("mill-3", 0, None), ("home-1", 2, 6.0)])
    async with open_store(tmp_path / "data", SystemClock()) as store:
        for path in (first, late):
            await import_meters(store.telemetry, ZONE, read_meter_files([path], MILL_AND_HOME))
        assert await store.telemetry.span("meter", ZONE) == Interval(start=at(0), end=at(2))
        frames = await store.telemetry.frames("meter", ZONE, Interval(start=at(0), end=at(3)))
    np.testing.assert_array_equal(frames.values, [[1.0, 5.0], [NAN, 2.0], [NAN, 6.0]])
    np.testing.assert_array_equal(frames.quality, [[0, 0], [3, 0], [3, 0]])


async def test_an_import_of_nothing_stores_nothing(tmp_path):
    async with open_store(tmp_path / "data", SystemClock()) as store:
        await import_meters(store.telemetry, ZONE, read_meter_files([], MILL_AND_HOME))
        assert await store.telemetry.span("meter", ZONE) is None
