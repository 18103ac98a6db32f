"""The planning stage at the demo's size: `python bench/bench_plan_demo.py [--seeds 1 2 3]`.

25 sites and 30 cohorts (about 2,400 homes), 15 intervals and a tail of 8, target 65 % of what can
be given throughout. Prints, for each seed, seconds and proven gap of the day-ahead plan, the merit
order against it, and a replan in mid-event after a tenth of the running sites failed and the
target rose by a fifth; then the promised confidence against the kept one in 20,000 drawn days,
with the plain normal quantile beside it; then the two solvers on the same pooled program.

Last results: docs/decisions/0006-plan-compact-milp.md.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from time import perf_counter, process_time

import numpy as np

from controller.model.plans import Plan
from controller.model.time import Series
from controller.plan import Fixed, Problem, check_plan, greedy_plan, make_plan, warm_up
from controller.plan import draft as draft_page
from controller.plan import model as model_page
from controller.plan.greedy import merit_order
from controller.plan.model import Margin, build_model
from controller.plan.optimise import pooled
from controller.plan.solve import Solver, solve_milp
from controller.plan.terms import terms_of
from tests.plan_cases import demo_problem

DAYS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    seeds = parser.parse_args().seeds
    warm_up()
    problems = {seed: demo_problem(seed) for seed in seeds}
    plans = {seed: day_ahead(seed, problem) for seed, problem in problems.items()}
    for seed in seeds:
        replans(seed, problems[seed], plans[seed])
    confidence(problems, plans)
    for seed in seeds:
        solvers(seed, problems[seed])


def timed(make: Callable[[Problem], Plan], problem: Problem) -> tuple[Plan, str]:
    wall, cpu = perf_counter(), process_time()
    plan = make(problem)
    text = f"{perf_counter() - wall:5.2f} s wall {process_time() - cpu:5.2f} s cpu"
    assert check_plan(plan, problem) == ()
    return plan, text


def day_ahead(seed: int, problem: Problem) -> Plan:
    plan, seconds = timed(make_plan, problem)
    greedy, quick = timed(greedy_plan, problem)
    called = np.asarray(sum(s.values for s in plan.committed_kw().values()))
    asked = plan.target_kw.values > 0
    most = (called[asked] / plan.target_kw.values[asked]).max()
    mean = (plan.expected_kw.values[asked] / plan.target_kw.values[asked]).max()
    print(
        f"seed {seed} plan     {seconds}  {plan.status:8} gap {plan.gap_frac * 100:.2f} %  "
        f"merit order {greedy.cost_minor / plan.cost_minor:.3f} x ({quick})  "
        f"expected {mean:.2f} x target, called {most:.2f} x"
    )
    return plan


def replans(seed: int, problem: Problem, plan: Plan) -> None:
    """After 2, 5 and 9 intervals; told sites keep what they accepted."""
    rng = np.random.default_rng(seed)
    for i in (2, 5, 9):
        now = plan.grid.at(i) - timedelta(minutes=5)
        running = [c.contract_id for c in plan.commitments if c.kw.values[i - 1] > 0]
        failed = rng.choice(running, max(1, len(running) // 10), replace=False)
        told = {c.id for c in problem.contracts if not c.wired} - set(failed)
        line, target = problem.timeline, problem.timeline.target.values.copy()
        target[i + 2 : i + 6] *= 1.2
        again = replace(
            problem,
            now=now,
            revision=1,
            timeline=replace(line, target=Series(grid=line.grid, values=target)),
            excluded={c: "failed" for c in problem.flexibility if c in failed},
            locked={c.contract_id: c.kw for c in plan.commitments if c.contract_id in told},
            fixed=Fixed.of(plan, now),
        )
        new, seconds = timed(make_plan, again)
        merit = (new.merit_order_cost_minor or 0) / new.cost_minor
        print(
            f"seed {seed} replan {i:2}{seconds}  {new.status:8} gap {new.gap_frac * 100:.2f} %  "
            f"merit order {merit:.3f} x"
        )


def confidence(problems: dict[int, Problem], plans: dict[int, Plan]) -> None:
    """Kept where the reserve binds: no shortfall, and no more than 0.5 % of the target spare."""
    plain = {seed: plan_for_normal_failures(problem) for seed, problem in problems.items()}
    for name, made in (("skewness too", plans), ("normal only", plain)):
        kept = np.array([x for s, p in problems.items() for x in kept_confidence(p, made[s])])
        print(
            f"confidence {problems[min(problems)].planning.confidence:.2f} promised, {name}: "
            f"kept {kept.min():.3f} to {kept.max():.3f}, mean {kept.mean():.3f} "
            f"({len(kept)} intervals where the reserve binds)"
        )


def plan_for_normal_failures(problem: Problem) -> Plan:
    """The plan as if nothing were skewed, for comparison."""
    usual = draft_page.margin_factor
    draft_page.margin_factor = model_page.margin_factor = lambda z, variance, _: z + 0 * variance
    try:
        return make_plan(problem)
    finally:
        draft_page.margin_factor = model_page.margin_factor = usual


def kept_confidence(problem: Problem, plan: Plan) -> list[float]:
    rng, days = np.random.default_rng(1), DAYS
    delivered = np.zeros((days, plan.grid.count))
    for c in plan.commitments:
        a = problem.flexibility[c.contract_id].availability_frac
        delivered += (rng.random((days, 1)) < a) * c.kw.values
    for run in plan.assignments:
        a = problem.flexibility[run.cohort_id].availability_frac
        delivered += rng.binomial(len(run.members), a, (days, 1)) * run.kw_each.values
    target = plan.target_kw.values
    spare = plan.expected_kw.values - target - plan.reserve_kw.values
    binds = (target > 0) & (plan.shortfall_kw.values == 0) & (spare < 0.005 * target)
    return [float(x) for x in (delivered >= target).mean(axis=0)[binds]]


def solvers(seed: int, problem: Problem) -> None:
    """Both on one thread, to 0.6 % of their own bound or 300 nodes, at most 20 s."""
    terms = terms_of(problem)
    worth = draft_page.worth_of(terms, merit_order(terms))
    pools = pooled(terms)
    margin = Margin.at(terms, worth.variance, worth.third)
    milp = build_model(pools, margin, members_whole=False).milp
    text = []
    for solver in Solver:
        cpu = process_time()
        s = solve_milp(milp, gap=0.006, node_limit=300, time_limit_s=20, solver=solver)
        gap = (s.objective - s.bound) / s.objective * 100
        text.append(
            f"{solver} {process_time() - cpu:5.2f} s cpu, {s.nodes:4} nodes, cost "
            f"{s.objective:,.0f}, gap {gap:.2f} %"
        )
    print(f"seed {seed} solvers  " + "   ".join(text))


if __name__ == "__main__":
    main()
