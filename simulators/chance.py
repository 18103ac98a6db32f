"""Counter-based randomness: what is drawn depends on (seed, purpose, index), never on call order.

So a controlled and an uncontrolled run, and processes that simulate different parts of one
fleet, live in the same world.
"""

from zlib import crc32

from numpy.random import Generator, Philox, SeedSequence


def draws(seed: int, purpose: str, index: int = 0) -> Generator:
    """The generator of one purpose and index (a day, a device), e.g. ("ev arrivals", day 12).

    Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
    2011), so nearby keys give unrelated streams.
    """
    return Generator(Philox(SeedSequence([seed, crc32(purpose.encode()), index])))
