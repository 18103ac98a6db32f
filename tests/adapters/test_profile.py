"""Device pages: every fault at once, and the arithmetic of a point."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.profile import UnfitValueError, raw_value, same_raw, value_of
from controller.config.profiles import read_profile
from controller.model.commands import Control
from controller.model.settings import Point
from tests.adapters.rigs import PROFILES

GOOD = """
id = "page"
title = "A page"
protocol = "modbus"
controls = ["cap_kw"]
dead_man = "device_timer"
dead_man_text = "It lapses."
tier = "simulated"

[points.cap_kw]
address = "holding:1"
type = "uint16"
writable = true

[points.hold_s]
address = "holding:2"
type = "uint16"
writable = true

[points.enable]
address = "holding:3"
type = "uint16"
writable = true

[points.mode]
address = "input:1"
type = "uint16"
"""


def faults_of(body: str, file: str = "page.toml") -> dict[str, str]:
    profile, faults = read_profile(file, body)
    assert (profile is None) == bool(faults)
    assert all(fault.file == file for fault in faults)
    return {fault.place: fault.expected for fault in faults}


def test_every_shipped_page_is_sound():
    assert len(PROFILES) >= 8
    for profile in PROFILES.values():
        assert profile.dead_man_text
        assert (profile.dead_man == "none") == (not profile.controls)


def test_a_page_becomes_a_profile():
    profile, faults = read_profile("page.toml", GOOD)
    assert faults == []
    assert profile is not None
    assert (profile.id, profile.controls) == ("page", (Control.CAP_KW,))
    assert profile.points["cap_kw"].name == "cap_kw"
    assert profile.points["cap_kw"].writable


def test_all_faults_of_a_page_come_at_once():
    body = (
        GOOD.replace('"device_timer"', '"prayer"')
        .replace('"uint16"', '"uint17"', 1)
        .replace("title", "titel")
    )
    places = faults_of(body)
    assert set(places) == {"dead_man", "points.cap_kw.type", "titel"}
    assert places["titel"] == 'the key "title"?'


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('id = "page"', 'id = "other"', "id"),
        ('dead_man = "device_timer"', 'dead_man = "none"', "dead_man"),
        ("[points.hold_s]", "[points.heartbeat]", "points.hold_s"),
        ("[points.mode]", "[points.moods]", "points.moods.name"),
        ("holding:1", "holding", "points.cap_kw.address"),
        ("holding:2", "input:2", "points.hold_s.address"),
        ("input:1", "coil:1", "points.mode.address"),
        ('type = "uint16"\nwritable', 'type = "string"\nwritable', "points.cap_kw.type"),
        (
            'type = "uint16"\nwritable',
            'type = "uint16"\nscale = 0\nwritable',
            "points.cap_kw.scale",
        ),
        ("writable = true", "low = 3\nhigh = 2\nwritable = true", "points.cap_kw.low"),
        ("writable = true", "writable = false", "points.cap_kw.writable"),
        ("writable = true", "scale = inf\nwritable = true", "points.cap_kw.scale"),
    ],
)
def test_a_page_that_cannot_work_is_refused(old: str, new: str, place: str):
    assert old in GOOD
    assert place in faults_of(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "place", "expected"),
    [
        ("writable = true", "writeable = true", "points.cap_kw.writeable", 'the key "writable"?'),
        ("writable = true", 'writable = "yes"', "points.cap_kw.writable", "true or false"),
        ("writable = true", 'scale = "0.1"', "points.cap_kw.scale", "a number, without quotes"),
        ('address = "holding:1"\n', "", "points.cap_kw.address", "a text in quotes"),
        ('controls = ["cap_kw"]', 'controls = ["cap"]', "controls[0]", "'cap_kw', 'power_kw'"),
    ],
)
def test_a_slip_in_a_page_is_spelled_out_as_in_any_other_table(
    old: str, new: str, place: str, expected: str
):
    assert old in GOOD
    assert expected in faults_of(GOOD.replace(old, new, 1))[place]


def test_a_page_that_is_no_toml_is_a_fault_of_that_page_at_its_line():
    line = GOOD.count("\n") + 1
    assert faults_of(GOOD + "low = ,") == {f"line {line}, column 7": "TOML 1.0"}


def point(kind: str = "float64", **fields: float) -> Point:
    return Point(name="cap_kw", address="a", type=kind, **fields)  # type: ignore[arg-type]


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from([0.001, 0.1, 1.0, 10.0]),
    st.floats(-100, 100),
    st.sampled_from([1, -1]),
)
def test_what_is_written_means_what_was_asked(value: float, scale: float, shift: float, sign: int):
    p = point(scale=scale, offset=shift, sign=sign)
    raw = raw_value(p, value)
    assert value_of(p, raw) == pytest.approx(value, abs=1e-6)


def test_sign_scale_and_offset_are_applied_in_that_order():
    """value = sign x (raw x scale + offset), as the model says."""
    p = point(scale=0.1, offset=-40.0, sign=-1)
    assert value_of(p, 615) == pytest.approx(-21.5)
    assert raw_value(p, -21.5) == pytest.approx(615)


@given(st.floats(-40000, 80000))
def test_an_integer_point_holds_the_nearest_step_or_refuses(value: float):
    p = point("uint16", scale=0.5)
    try:
        raw = raw_value(p, value)
    except UnfitValueError:
        assert not -0.25 <= value <= 65535.5 * 0.5
    else:
        assert isinstance(raw, int)
        assert abs(value_of(p, raw) - value) <= 0.25 + 1e-9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 10.1])
def test_a_value_outside_the_range_does_not_fit(value: float):
    with pytest.raises(UnfitValueError, match="outside"):
        raw_value(point(low=0.0, high=10.0), value)


def test_read_back_is_compared_as_finely_as_the_type_can_hold():
    assert same_raw(point("float32"), 123.456, 123.45600128173828)
    assert not same_raw(point("float32"), 123.456, 123.457)
    assert not same_raw(point("uint16"), 10, 11)


def test_the_pages_are_plain_toml_with_a_comment_at_the_top():
    for path in (Path(__file__).parents[2] / "configs" / "profiles").glob("*.toml"):
        text = path.read_text()
        assert text.startswith("#"), path
        assert tomllib.loads(text)["id"] == path.stem
