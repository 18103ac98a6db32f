"""The program as arrays, the solver behind its one file, and the worker that runs it."""

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from controller.errors import PlanError
from controller.model.plans import PlanStatus
from controller.plan import assembly as assembly_page
from controller.plan import greedy_plan, make_plan, warm_up
from controller.plan import optimise as optimise_page
from controller.plan.arrays import Terms
from controller.plan.draft import Worth, contract_cost, empty_draft
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.optimise import Found
from controller.plan.solve import Solution, SolveStatus, solve_milp
from tests.plan_cases import a_problem, a_site, demo_problem
from tests.test_plan_properties import same


def a_knapsack() -> Milp:
    """Least cost of at least 7.5 from pieces of 1 (cost 1) and 3 (cost 2), at most 2 big ones."""
    build = MilpBuilder()
    x = build.columns(np.array([1.0, 2.0]), high=[10.0, 2.0], whole=True)
    build.put(build.rows((1,), 7.5, np.inf), x, [1.0, 3.0])
    return build.milp(offset=100.0)


def solved(milp: Milp, **limits: float) -> Solution:
    usual = {"gap": 0.0, "node_limit": 1000, "time_limit_s": 10.0}
    return solve_milp(milp, **{**usual, **limits})  # type: ignore[arg-type]


def test_a_program_is_solved_to_proven_optimality_with_its_offset():
    solution = solved(a_knapsack())
    assert solution.status is SolveStatus.PROVEN
    assert list(solution.values) == [2, 2]
    assert solution.objective == pytest.approx(106)
    assert solution.bound == pytest.approx(106)


def test_without_whole_numbers_it_is_a_relaxation():
    milp = a_knapsack()
    relaxed = solved(replace(milp, whole=np.zeros_like(milp.whole)))
    assert relaxed.objective == pytest.approx(105.5)


def test_what_cannot_be_met_is_a_solution_without_values_that_says_so():
    milp = a_knapsack()
    solution = solved(replace(milp, row_low=np.array([100.0])))
    assert solution.status is SolveStatus.FAILED
    assert len(solution.values) == 0
    assert "infeasible" in solution.detail


def test_a_broken_program_is_told_and_not_raised():
    milp = a_knapsack()
    solution = solved(replace(milp, cost=np.array([np.nan, 1.0])))
    assert solution.status is SolveStatus.FAILED
    assert solution.detail


def test_duplicate_entries_are_summed_and_zeros_left_out():
    build = MilpBuilder()
    x = build.columns(np.ones(3))
    row = build.rows((1,), 1.0, 2.0)
    build.put(row, x, [1.0, 0.0, 2.0])
    build.put(row, x[:1], 4.0)
    milp = build.milp()
    assert list(milp.column) == [0, 2]
    assert list(milp.value) == [5, 2]


def test_a_failing_solver_leaves_the_merit_order(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object, **__: object) -> Solution:
        return Solution(
            values=np.zeros(0),
            objective=np.inf,
            bound=-np.inf,
            status=SolveStatus.FAILED,
            detail="the solver failed: no licence",
        )

    monkeypatch.setattr(optimise_page, "solve_milp", fails)
    problem = a_problem([100] * 4, [a_site("mill")])
    plan = make_plan(problem)
    assert plan.status is PlanStatus.FALLBACK
    assert plan.commitments == greedy_plan(problem).commitments
    assert "the solver failed: no licence" in plan.notes


def test_a_search_that_breaks_a_term_is_refused_and_the_merit_order_stands_in(
    monkeypatch: pytest.MonkeyPatch,
):
    """The plan is cheaper, and a step that nobody agreed to."""

    def too_clever(terms: Terms, _: Worth) -> Found:
        draft = empty_draft(terms)
        draft.kw[0, :4] = 99.5
        return Found(draft=draft, bound=0.0, seconds=0.0)

    monkeypatch.setattr(optimise_page, "optimise", too_clever)
    problem = a_problem([92] * 4, [a_site("mill")])
    plan = make_plan(problem)
    assert plan.status is PlanStatus.FALLBACK
    assert any("refused" in note and "none of its steps" in note for note in plan.notes)
    assert plan.commitments == greedy_plan(problem).commitments


def test_where_even_the_merit_order_fails_the_check_there_is_no_plan(
    monkeypatch: pytest.MonkeyPatch,
):
    problem = a_problem([100] * 4, [a_site("mill")])
    monkeypatch.setattr(assembly_page, "contract_cost", lambda *a: contract_cost(*a) + 50)
    with pytest.raises(PlanError, match="mill costs"):
        make_plan(problem)


def test_a_problem_travels_to_a_spawned_worker_and_its_plan_back():
    problem = a_problem([100] * 4, [a_site("mill"), a_site("mall")])
    assert pickle.loads(pickle.dumps(problem)) == problem
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        pool.submit(warm_up).result(timeout=60)
        there = pool.submit(make_plan, problem).result(timeout=60)
    assert same(there, make_plan(problem))


def test_the_stage_loads_no_solver_until_it_plans():
    code = "import sys, controller.plan; print(any(m.startswith('ortools') for m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.slow
def test_a_day_of_the_demonstrations_size_is_proven_to_one_percent():
    plan = make_plan(demo_problem(4))
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.gap_frac <= 0.01
    assert plan.merit_order_cost_minor is not None
    assert plan.cost_minor < plan.merit_order_cost_minor
