"""The JSON that homes and we exchange over MQTT: typed both ways, bounded in size.

Topics under a prefix (`ps`), `<home>` being the resource's address::

    ps/c/<home>   Command   to the home        ps/o/<home>   OptOut       a person took it back
    ps/a/<home>   Answer    from the home      ps/t/<home>   HomeValues   one home's reading
                                               ps/tb/<group> BatchValues  many homes' readings

A command carries its own expiry, fence and sequence number, because a broker may deliver it late,
twice, or after the controller was replaced, and MQTT 3.1.1 has no message expiry. All instants
are Unix seconds. `set` and `values` are raw numbers under the addresses of the profile's points.
"""

from typing import Annotated, Literal

import msgspec

MOST_BYTES = 64 * 1024
"""Longer messages are dropped unread."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=4_102_444_800)]
"""Until the year 2100: every such number is an instant."""

Text = Annotated[str, msgspec.Meta(max_length=200)]
RawNumber = float | bool


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`hold` obeys `set` from `start` to `until`, at most `hold_s`; `state` only asks."""

    op: Literal["hold", "release", "state"]
    id: str
    seq: int
    fence: int
    expires: float
    start: float | None = None
    until: float | None = None
    hold_s: float | None = None
    set: dict[str, RawNumber] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the command `id`, and what the home obeys now."""

    id: Text
    outcome: Literal["applied", "refused", "overridden", "late"]
    mode: Literal["free", "held", "overridden"]
    detail: Text = ""
    until: Seconds | None = None
    setpoint_id: Text | None = None
    set: dict[str, RawNumber] = {}


class OptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A person took control back, until an instant or for good."""

    at: Seconds
    source: Literal["device", "customer"] = "device"
    until: Seconds | None = None
    reason: Text = ""


class HomeValues(msgspec.Struct, frozen=True, kw_only=True):
    """One home's measured values."""

    at: Seconds
    values: dict[str, float | None]


class BatchValues(msgspec.Struct, frozen=True, kw_only=True):
    """Measured values of many homes: each list runs along `homes`; null is not measured."""

    at: Seconds
    homes: Annotated[list[str], msgspec.Meta(max_length=1000)]
    values: dict[str, list[float | None]]


encode = msgspec.json.Encoder().encode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_opt_out = msgspec.json.Decoder(OptOut).decode
decode_home = msgspec.json.Decoder(HomeValues).decode
decode_batch = msgspec.json.Decoder(BatchValues).decode
