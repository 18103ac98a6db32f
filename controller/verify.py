"""During the event: operating forecast minus readings, per contract and cohort. Steers replans.

Money never uses this: settlement has its own, contractual baseline. What a called unit
delivers is measured at its meter, never assumed from a receipt or a rating.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from controller.model.ids import CohortId, ContractId
from controller.model.settings import VerifyRules


class Health(StrEnum):
    """What the meter says of a called unit."""

    SETTLING = "settling"
    DELIVERING = "delivering"
    FAILED = "failed"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A contract or cohort while it is called, with what its meters show."""

    of: ContractId | CohortId
    contract_id: ContractId
    since: datetime
    committed_kw: float
    operating_kw: float
    """Operating forecast of the called members for the measured stretch."""
    measured_kw: float
    """Mean of their readings over it; NaN where they are silent."""
    single: bool
    """True: one site, which fails or not; False: many homes, which deliver more or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one called unit does: delivered kW (NaN while unknown) and its health."""

    of: ContractId | CohortId
    contract_id: ContractId
    committed_kw: float
    delivered_kw: float
    health: Health

    @property
    def delivered_frac(self) -> float:
        """响应率: delivered / committed; NaN where unknown or nothing was committed."""
        return self.delivered_kw / self.committed_kw if self.committed_kw > 0 else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of the event at `at`: what is delivered, what is missing, who failed."""

    at: datetime
    target_kw: float
    committed_kw: float
    delivered_kw: float
    """Known deliveries; a unit that still settles counts with its commitment."""
    verdicts: tuple[Verdict, ...]

    @property
    def shortfall_kw(self) -> float:
        return max(0.0, self.target_kw - self.delivered_kw)

    @property
    def failed(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.health in (Health.FAILED, Health.SILENT))


def verify(
    called: Sequence[Called], now: datetime, target_kw: float, rules: VerifyRules
) -> Verification:
    """Judge every called unit by its meter at `now`."""
    verdicts = tuple(_judge(unit, now, rules) for unit in called)
    counted = [
        v.committed_kw if v.health is Health.SETTLING else np.nan_to_num(v.delivered_kw)
        for v in verdicts
    ]
    return Verification(
        at=now,
        target_kw=target_kw,
        committed_kw=sum(v.committed_kw for v in verdicts),
        delivered_kw=float(sum(counted)),
        verdicts=verdicts,
    )


def needs_replan(verification: Verification, rules: VerifyRules) -> str | None:
    """Why a new plan is due, in words; None while delivery is within the tolerated band."""
    v = verification
    if v.target_kw <= 0:
        return None
    if v.failed:
        return "failed: " + ", ".join(f.of for f in v.failed)
    aim_kw = v.target_kw * (1 + rules.aim_frac)
    if v.delivered_kw < aim_kw * (1 - rules.shortfall_frac):
        return f"{aim_kw - v.delivered_kw:.0f} kW less than the {aim_kw:.0f} kW aimed at"
    if v.delivered_kw > aim_kw * (1 + rules.surplus_frac):
        return f"{v.delivered_kw - aim_kw:.0f} kW more than the {aim_kw:.0f} kW aimed at"
    return None


def corrected_kw(correction_kw: float, verification: Verification, rules: VerifyRules) -> float:
    """What to plan for beyond the target, so that the meters come to show what is aimed at.

    Adds the miss to the correction in force (integral control), within −5 … +6 % of the
    target: a plan that misses by more has another trouble than its promises.
    """
    v = verification
    miss_kw = v.target_kw * (1 + rules.aim_frac) - v.delivered_kw
    return float(np.clip(correction_kw + miss_kw, -0.05 * v.target_kw, 0.06 * v.target_kw))


def peers_ratio(
    measured_kw: NDArray[np.float64],
    operating_kw: NDArray[np.float64],
    called: NDArray[np.bool_],
    *,
    least: int = 30,
    limits: tuple[float, float] = (0.6, 1.6),
) -> float | None:
    """How much more the uncalled peers of a class draw than was forecast, as a ratio.

    Homes of one class that are not called are a live control group: their ratio corrects the
    operating forecast of those that are. None with fewer than `least` of them.
    """
    known = ~called & np.isfinite(measured_kw) & np.isfinite(operating_kw)
    if int(known.sum()) < least or operating_kw[known].sum() <= 0:
        return None
    ratio = measured_kw[known].sum() / operating_kw[known].sum()
    return float(np.clip(ratio, *limits))


def _judge(unit: Called, now: datetime, rules: VerifyRules) -> Verdict:
    delivered = unit.operating_kw - unit.measured_kw
    if now < unit.since + rules.settle_time:
        health = Health.SETTLING
    elif not np.isfinite(delivered):
        health = Health.SILENT if unit.single else Health.DELIVERING
    elif unit.single and delivered < rules.failed_below_frac * unit.committed_kw:
        health = Health.FAILED
    else:
        health = Health.DELIVERING
    return Verdict(
        of=unit.of,
        contract_id=unit.contract_id,
        committed_kw=unit.committed_kw,
        delivered_kw=float(delivered),
        health=health,
    )
