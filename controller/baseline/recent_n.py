"""recent_n: the mean of the last N like days (Chinese type: 5 working days, 3 others)."""

from controller.baseline.sample import Choice, Usage, newest
from controller.model.contracts import BaselineRule


def choose(rule: BaselineRule, usage: Usage, *, working: bool) -> Choice:
    """The N newest days, outliers outside [low, high] × their mean replaced to a fixed point.

    The Southern-China type rule: 5 samples (3 on non-working days), 25 % and 200 %, 30 days back,
    with fewer samples where there are no more. The numbers are the program's.
    """
    return newest(usage, day_count(rule, working), rule.low_usage_frac, rule.high_usage_frac)


def day_count(rule: BaselineRule, working: bool) -> int:
    """How many days the rule asks for: of its N or Y, by the class of the event day."""
    other = rule.days if rule.days_non_working is None else rule.days_non_working
    return rule.days if working else other
