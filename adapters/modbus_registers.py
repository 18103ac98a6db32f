"""Points in Modbus registers: where they stand, in which runs they are read, and their words. Pure.

The simulator's server has a codec of its own, so that a mistake in word order here shows there.
"""

import struct
from collections.abc import Iterable, Mapping

from adapters.points import Raw
from adapters.profile import UnfitValueError
from controller.model.settings import Point

MOST_REGISTERS = 120
"""Registers in one request (the protocol allows 123 to write and 125 to read)."""

_FORMATS = {
    "int16": ">h",
    "uint16": ">H",
    "bool": ">H",
    "int32": ">i",
    "uint32": ">I",
    "float32": ">f",
    "float64": ">d",
}

Spot = tuple[str, int]
"""A register: its table (holding, input) and number."""


def first_spot(point: Point) -> Spot:
    """The first register of a point, from its address such as `holding:100` or `input:110/18`."""
    table, _, place = point.address.partition(":")
    return table, int(place.partition("/")[0])


def spots_of(point: Point) -> list[Spot]:
    """Every register of a point."""
    table, first = first_spot(point)
    if point.type == "string":
        count = int(point.address.partition("/")[2])
    else:
        count = struct.calcsize(_FORMATS[point.type]) // 2
    return [(table, first + i) for i in range(count)]


def blocks_of(spots: Iterable[Spot]) -> list[list[Spot]]:
    """Runs of neighbouring registers, each short enough for one request."""
    blocks: list[list[Spot]] = []
    for spot in sorted(set(spots)):
        last = blocks[-1] if blocks else []
        if last and len(last) < MOST_REGISTERS and last[-1] == (spot[0], spot[1] - 1):
            last.append(spot)
        else:
            blocks.append([spot])
    return blocks


def words_of(point: Point, raw: Raw) -> dict[Spot, int]:
    """What to write for a raw value. Raises UnfitValueError for a text that is too long."""
    spots = spots_of(point)
    if point.type == "string":
        body = str(raw).encode()
        if len(body) > 2 * len(spots):
            raise UnfitValueError(f"{point.name} {raw!r} is longer than its registers")
        packed = body.ljust(2 * len(spots), b"\0")
    else:
        packed = struct.pack(_FORMATS[point.type], raw)
    words = list(struct.unpack(f">{len(spots)}H", packed))
    if _low_word_first(point):
        words.reverse()
    return dict(zip(spots, words, strict=True))


def raw_of(point: Point, words: Mapping[Spot, int]) -> Raw:
    """The raw value in the words that were read."""
    found = [words[spot] for spot in spots_of(point)]
    if _low_word_first(point):
        found.reverse()
    packed = struct.pack(f">{len(found)}H", *found)
    if point.type == "string":
        return packed.rstrip(b"\0").decode(errors="replace")
    raw: int | float = struct.unpack(_FORMATS[point.type], packed)[0]
    return raw


def _low_word_first(point: Point) -> bool:
    return point.word_order == "little" and point.type != "string"
