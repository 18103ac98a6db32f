"""Why each contract and cohort was chosen or left, in a code and one sentence with its numbers."""

from collections import Counter
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from controller.model.plans import Plan, Reason
from controller.plan.arrays import KW_TOLERANCE, Bools, CohortTerms, ContractTerms, Floats, Terms
from controller.plan.arrays import contract_of as _contract_of
from controller.plan.contract_terms import earliest_start, in_windows, run_limits
from controller.plan.draft import Draft, contract_cost
from controller.plan.greedy import cohort_price, total_price
from controller.plan.stack import future_runs, runs_allowed
from controller.units import major_text

WORTH_SAYING_KW = 0.5


def reasons_of(terms: Terms, draft: Draft) -> tuple[Reason, ...]:
    """One reason per contract and per cohort, in the problem's order."""
    dearest = _dearest(terms, draft)
    singles = {
        c.contract.id: _contract_reason(terms, c, kw, dearest)
        for c, kw in zip(terms.contracts, draft.kw, strict=True)
    }
    pools = [
        _cohort_reason(terms, k, int(counts.sum()), dearest)
        for k, counts in zip(terms.cohorts, draft.counts, strict=True)
    ]
    rest = (
        _pooled_reason(terms, c.id, pools) for c in terms.problem.contracts if c.id not in singles
    )
    return (*singles.values(), *rest, *pools)


def summary(plan: Plan) -> tuple[str, ...]:
    """The plan in a few lines for the console; money in major units of the program's currency."""
    merit = plan.merit_order_cost_minor
    saved = ""
    if merit is not None and plan.cost_minor > 0:
        extra = (merit / plan.cost_minor - 1) * 100
        saved = f"; the merit order would cost {major_text(merit)} ({extra:+.1f} %)"
    called = [c for c in plan.commitments if (c.kw.values > KW_TOLERANCE).any()]
    members = {m for a in plan.assignments for m in a.members}
    left = Counter(r.code for r in plan.reasons if not r.chosen)
    short = plan.shortfall_kw.values
    lacking = short[short >= WORTH_SAYING_KW]
    where = f"in {len(lacking)} intervals"
    return (
        f"plan {plan.revision}, {plan.status}: cost {major_text(plan.cost_minor)}, proven to "
        f"{plan.gap_frac * 100:.2f} %{saved}",
        f"target up to {plan.target_kw.values.max():,.0f} kW, expected up to "
        f"{plan.expected_kw.values.max():,.0f} kW, reserve up to "
        f"{plan.reserve_kw.values.max():,.0f} kW",
        f"called: {len(called)} contracts and {len(members)} appliances in "
        f"{len(plan.assignments)} runs",
        "left: " + (", ".join(f"{n} {code}" for code, n in sorted(left.items())) or "nobody"),
        f"shortfall up to {lacking.max():,.0f} kW {where}" if len(lacking) else "no shortfall",
        *plan.notes,
    )


def _contract_reason(terms: Terms, c: ContractTerms, kw: Floats, dearest: float) -> Reason:
    problem, contract = terms.problem, c.contract
    excluded = problem.excluded.get(contract.id)
    runs = future_runs(terms, kw)
    if excluded is not None:
        code = "protected" if "protect" in excluded.lower() else "refused"
        return Reason(of=contract.id, chosen=False, code=code, text=excluded)
    if runs:
        price = _price(terms, contract_cost(terms, c, kw), c.availability * float(kw.sum()))
        spans = ", ".join(_span(terms, s, e) for s, e in runs)
        level = _levels(kw[kw > KW_TOLERANCE])
        how = "accepted" if contract.id in problem.locked else "called"
        text = f"{how} {spans} with {level}, {price} incl. start cost"
        return Reason(of=contract.id, chosen=True, code="called", text=text)
    if (kw > KW_TOLERANCE).any():
        return Reason(of=contract.id, chosen=True, code="called", text="its call is over")
    if contract.id in problem.locked:
        return Reason(of=contract.id, chosen=False, code="refused", text="it will give nothing")
    if not runs_allowed(terms, c):
        code, text = _obstacle(terms, c)
        return Reason(of=contract.id, chosen=False, code=code, text=text)
    total = total_price(terms, c)
    code, text = _by_price(terms, total, dearest, f"its least call of {c.levels[0]:g} kW")
    return Reason(of=contract.id, chosen=False, code=code, text=text)


def _cohort_reason(terms: Terms, k: CohortTerms, started: int, dearest: float) -> Reason:
    members = len(k.cohort.members)
    kept = sum(len(a.members) for a in terms.kept if a.cohort_id == k.cohort.id)
    price = cohort_price(terms, k)
    excluded = terms.problem.excluded.get(k.cohort.contract_id)
    code, text = "called", f"{started} of {members} members start"
    if started and kept:
        text += f", {kept} were called before"
    elif started:
        text += f", {_money(terms, price)}"
    elif kept:
        text = f"{kept} members were called before"
    elif excluded is not None:
        code, text = "refused", excluded
    elif not len(k.start):
        code, text = _cohort_obstacle(terms, k)
    else:
        code, text = _by_price(terms, price, dearest, "what it gives")
    return Reason(of=k.cohort.id, chosen=bool(started or kept), code=code, text=text)


def _pooled_reason(terms: Terms, of: str, pools: list[Reason]) -> Reason:
    """A contract of appliances: chosen if any of its cohorts is."""
    contract = next(c for c in terms.problem.contracts if c.id == of)
    ids = {k.cohort.id for k in terms.cohorts if k.cohort.contract_id == contract.id}
    mine = [r for r in pools if r.of in ids]
    chosen = [r for r in mine if r.chosen]
    if not mine:
        text = "no appliance of it can be called"
        return Reason(of=contract.id, chosen=False, code="unneeded", text=text)
    code = "called" if chosen else Counter(r.code for r in mine).most_common(1)[0][0]
    text = f"{len(chosen)} of its {len(mine)} cohorts are called"
    return Reason(of=contract.id, chosen=bool(chosen), code=code, text=text)


def _obstacle(terms: Terms, c: ContractTerms) -> tuple[str, str]:
    """The first term that leaves no possible run, and its figures."""
    problem, contract, t = terms.problem, c.contract, np.arange(terms.grid.count)
    able = c.most_kw >= c.levels[0] - KW_TOLERANCE
    windows = in_windows(problem, contract.windows)
    earliest = earliest_start(problem, contract)
    least = f"least duration of {_minutes(contract.min_duration)}"
    steps: tuple[tuple[str, Bools, str], ...] = (
        ("duration", terms.ruled, f"the event is shorter than its {least}"),
        ("load", able, f"its load leaves {_most(terms, c):g} kW, least is {c.levels[0]:g} kW"),
        ("window", windows, f"its hours leave no room for its {least}"),
        ("notice", t >= earliest, _notice_text(terms, c, earliest)),
    )
    allowed = np.ones(terms.grid.count, dtype=bool)
    for code, mask, text in steps:
        allowed = allowed & mask
        if not _fits(allowed, c.min_run):
            return code, text
    if c.calls_left <= 0:
        return "budget", f"its calls are used up ({contract.max_calls_per_day} a day)"
    if c.intervals_left < c.min_run:
        return "budget", f"of its {contract.max_hours_per_year:g} h a year too few are left"
    return "rest", f"it rests for {_minutes(contract.rest)} after its last call"


def _cohort_obstacle(terms: Terms, k: CohortTerms) -> tuple[str, str]:
    contract = _contract_of(terms.problem, k.cohort.contract_id)
    windows = in_windows(terms.problem, contract.windows)
    earliest, least = earliest_start(terms.problem, contract), run_limits(contract, terms.grid)[0]
    if not _fits(terms.ruled, least) or k.cohort.max_run < contract.min_duration:
        return "duration", f"no room for {_minutes(contract.min_duration)}"
    if not _fits(terms.ruled & windows, least):
        return "window", "its hours leave no room"
    if not _fits(terms.ruled & windows & (np.arange(terms.grid.count) >= earliest), least):
        return "notice", f"{_minutes(contract.notice)} notice is too long"
    return "load", "its members draw nothing that could be left out"


def _by_price(terms: Terms, total: float, dearest: float, least: str) -> tuple[str, str]:
    if total > dearest:
        return "price", f"{_money(terms, total)}, the dearest called is {_money(terms, dearest)}"
    return "unneeded", f"{_money(terms, total)}, but {least} is not needed beside those called"


def _dearest(terms: Terms, draft: Draft) -> float:
    """Highest total cost per expected kWh among those called from now on; 0 where none is."""
    prices = [0.0]
    for c, kw in zip(terms.contracts, draft.kw, strict=True):
        if c.free and future_runs(terms, kw):
            kwh = c.availability * float(kw.sum()) * terms.grid.step_h
            prices.append(contract_cost(terms, c, kw) / kwh if kwh > 0 else 0.0)
    for k, counts in zip(terms.cohorts, draft.counts, strict=True):
        if counts.any():
            prices.append(cohort_price(terms, k))
    return max(prices)


def _fits(allowed: Bools, length: int) -> bool:
    return any(allowed[s : s + length].all() for s in range(len(allowed) - length + 1))


def _notice_text(terms: Terms, c: ContractTerms, earliest: int) -> str:
    contract = c.contract
    lead = contract.notice if contract.wired else contract.notice + contract.reply_within
    what = "notice" if contract.wired else "notice and reply time"
    return f"{what} of {_minutes(lead)} would allow {_clock(terms, earliest)} at the earliest"


def _most(terms: Terms, c: ContractTerms) -> float:
    return round(float(c.most_kw[terms.ruled].max(initial=0.0)), 1)


def _levels(kw: Floats) -> str:
    low, high = float(kw.min()), float(kw.max())
    return f"{high:g} kW" if high - low < KW_TOLERANCE else f"{low:g} to {high:g} kW"


def _price(terms: Terms, cost: float, expected_kw: float) -> str:
    kwh = expected_kw * terms.grid.step_h
    return _money(terms, cost / kwh if kwh > 0 else 0.0)


def _money(terms: Terms, minor_per_kwh: float) -> str:
    return f"{major_text(round(minor_per_kwh))} {terms.problem.currency}/kWh"


def _minutes(length: timedelta) -> str:
    return f"{length.total_seconds() / 60:g} min"


def _span(terms: Terms, start: int, end: int) -> str:
    return f"{_clock(terms, start)}–{_clock(terms, end)}"


def _clock(terms: Terms, i: int) -> str:
    return terms.grid.at(i).astimezone(ZoneInfo(terms.problem.timezone)).strftime("%H:%M")
