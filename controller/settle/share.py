"""Splitting whole numbers: the parts always add up to the whole."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from controller.model.money import Performance


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to `weights` (≥ 0), the rest by largest remainder, ties to the first.

    A negative total is split like its absolute value. Raises ValueError where no weight is > 0.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError(f"cannot split by weights {list(weights)}")
    parts = [abs(total) * w // whole for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(abs(total) * weights[i] % whole))
    for i in by_remainder[: abs(total) - sum(parts)]:
        parts[i] += 1
    return parts if total >= 0 else [-p for p in parts]


def each_kwh_once(rows: Sequence[Performance]) -> list[Performance]:
    """Where two contracts were called behind one meter, each gets its share of the meter's energy.

    Shares are by committed Wh, ties to the contract whose id comes first; the shares of an
    interval add up to what the meter gave. Rows come back sorted by contract, meter and time.
    """
    by_meter = sorted(rows, key=lambda p: (p.meter_id, p.interval, p.contract_id))
    out: list[Performance] = []
    for _, group in groupby(by_meter, key=lambda p: (p.meter_id, p.interval)):
        same = list(group)
        out.extend(same if len(same) == 1 else _shared(same))
    return sorted(out, key=lambda p: (p.contract_id, p.meter_id, p.interval))


def _shared(rows: Sequence[Performance]) -> list[Performance]:
    weights = [p.committed_wh for p in rows]
    baseline = largest_remainder(rows[0].baseline_wh, weights)
    delivered = largest_remainder(rows[0].delivered_wh, weights)
    metered = largest_remainder(rows[0].metered_wh, weights)
    return [
        replace(p, baseline_wh=b, delivered_wh=d, metered_wh=b - d if p.valid else m)
        for p, b, d, m in zip(rows, baseline, delivered, metered, strict=True)
    ]
