"""In words: the method with its parameters, why a day was dropped, what was adjusted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from controller.baseline import recent_n, x_of_y
from controller.baseline.calendar import Candidates
from controller.baseline.sample import Choice, Usage, Verdict
from controller.model.contracts import Adjustment, BaselineMethod, BaselineRule
from controller.model.money import DroppedDay
from controller.units import WH_PER_KWH


def described(rule: BaselineRule, *, working: bool = True) -> str:
    """The method with its parameters in one line, for statements."""
    n = recent_n.day_count(rule, working)
    kind = "working" if working else "non-working"
    if rule.method is BaselineMethod.RECENT_N:
        days = f"mean of the last {n} {kind} days"
        test = f"outside {rule.low_usage_frac:.0%}–{rule.high_usage_frac:.0%}"
    else:
        x = x_of_y.pick_count(rule, working)
        days = f"mean of the {rule.pick} {x} of the last {n} {kind} days"
        test = f"below {rule.low_usage_frac:.0%}"
    return (
        f"{rule.method}: {days} within {rule.lookback_days} days (at least {rule.min_days}), "
        f"days {test} of their mean load in the event hours replaced; {_adjustment(rule)}"
    )


def _adjustment(rule: BaselineRule) -> str:
    if rule.adjustment is Adjustment.NONE:
        return "no same-day adjustment"
    cap = rule.adjustment_cap_frac
    return (
        f"same-day {rule.adjustment} adjustment "
        f"({'no cap' if cap is None else f'cap ±{cap:.0%}'}) over {rule.adjustment_hours:g} h "
        f"ending {rule.adjustment_gap_h:g} h before the start or at the notice"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Account:
    """Everything needed to tell what became of each day of each meter."""

    rule: BaselineRule
    like: Candidates
    seen: Usage
    choice: Choice
    event_h: float
    history_from: date

    def used(self, meter: int) -> tuple[date, ...]:
        """Days whose mean is the baseline, newest first."""
        return tuple(d for d, v in self._verdicts(meter) if v == Verdict.USED)

    def dropped(self, meter: int) -> tuple[DroppedDay, ...]:
        """Days looked at and not used, newest first; older days than needed are not told."""
        own = [
            DroppedDay(day=day, reason=self._reason(meter, j, verdict))
            for j, (day, verdict) in enumerate(self._verdicts(meter))
            if verdict not in (Verdict.USED, Verdict.UNSEEN)
        ]
        oldest = min((d for d, v in self._verdicts(meter) if v != Verdict.UNSEEN), default=None)
        all_seen = oldest is None or self._short(meter)
        of_all = [d for d in self.like.dropped if all_seen or oldest is None or d.day > oldest]
        return tuple(sorted([*own, *of_all], key=lambda d: d.day, reverse=True))

    def notes(self, meter: int, adjustment: str) -> tuple[str, ...]:
        """The adjustment's arithmetic, or why there is none; a warning where days were few."""
        used = self.choice.used[meter].sum()
        if used < self.rule.min_days or not used:
            return (f"only {used} valid days of at least {self.rule.min_days}: no baseline",)
        notes = [adjustment] if adjustment else []
        if self._short(meter):
            notes.append(
                f"fewer like days than the {self._wanted} asked for; "
                f"values are known from {self.history_from.isoformat()} on"
            )
        return tuple(notes)

    @property
    def _wanted(self) -> int:
        return recent_n.day_count(self.rule, self.like.working)

    def _verdicts(self, meter: int) -> Iterator[tuple[date, int]]:
        return zip(self.like.days, self.choice.verdict[meter].tolist(), strict=True)

    def _short(self, meter: int) -> bool:
        verdicts = self.choice.verdict[meter]
        kept = (verdicts == Verdict.USED) | (verdicts == Verdict.RANKED_OUT)
        return bool(kept.sum() < self._wanted)

    def _reason(self, meter: int, day: int, verdict: int) -> str:
        number = float(self.choice.number[meter, day])
        if verdict == Verdict.INCOMPLETE:
            return "values missing in the event hours"
        if verdict == Verdict.RANKED_OUT:
            return f"ranked {number:.0f} of the days looked at by load in the event hours"
        low = verdict == Verdict.LOW
        frac = self.rule.low_usage_frac if low else self.rule.high_usage_frac
        own = self._mean_kw(float(self.seen.gross_wh[meter, day]))
        return (
            f"mean {own:.3f} kW in the event hours is {'below' if low else 'above'} "
            f"{frac:.0%} of the sample's {self._mean_kw(number):.3f} kW"
        )

    def _mean_kw(self, wh: float) -> float:
        return wh / self.event_h / WH_PER_KWH
