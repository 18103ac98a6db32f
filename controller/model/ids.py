"""Ids as types, so that a meter is never passed where a customer was meant.

Slugs for things that people name (`mill-3`, `home-00421`); UUIDv7 text for events, plans and
setpoints (RFC 9562), made from the injected clock and random source.
"""

from datetime import datetime
from random import Random
from typing import NewType
from uuid import UUID

ResourceId = NewType("ResourceId", str)
MeterId = NewType("MeterId", str)
CustomerId = NewType("CustomerId", str)
ContractId = NewType("ContractId", str)
ProgramId = NewType("ProgramId", str)
ZoneId = NewType("ZoneId", str)
FeederId = NewType("FeederId", str)
LinkId = NewType("LinkId", str)
ProfileId = NewType("ProfileId", str)
CohortId = NewType("CohortId", str)
EventId = NewType("EventId", str)
PlanId = NewType("PlanId", str)
SetpointId = NewType("SetpointId", str)


def new_uuid7(now: datetime, random: Random) -> str:
    """A UUIDv7 as text: 48 bits of Unix milliseconds from `now`, then 74 random bits (RFC 9562)."""
    ms = int(now.timestamp() * 1000) & (2**48 - 1)
    bits = (ms << 80) | (0x7 << 76) | (random.getrandbits(12) << 64)
    bits |= (0b10 << 62) | random.getrandbits(62)
    return str(UUID(int=bits))
