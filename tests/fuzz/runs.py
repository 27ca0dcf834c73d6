"""Whole runs on random models, and random programmes and cascades worked out in two ways."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
from fuzz.inputs import Data, Seed
from fuzz.targets import Fault, Target, run
from optimization.drawing import draw, drawn_model
from optimization.test_decomposition import random_data

from planner.errors import InputError
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.infrastructure.schema import model_schema
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios
from planner.simulation import cascade

#: Where numbers of random models begin: those below are the tests' own.
FIRST = 1_000_000
#: Ways to solve, and what is done with a plan besides.
WAYS = (
    (), (), (), ("--method", "extensive"), ("--method", "decomposed"), ("--solver", "cbc"),
    ("--gap", "0.02"), ("--hours", "peak"), ("--rounds", "2"), ("--risk", "cvar"),
    ("--scenarios", "n-1"), ("--scenarios", "model,n-2", "--least-per-year", "1e-4"),
)  # fmt: skip
USES = (
    ("check-plan", "PLAN", "--fail-on", "capital > 1B"),
    ("simulate", "--plan", "PLAN"),
    ("explain", "PLAN", "--quick"),
    ("finance", "--plan", "PLAN", "--samples", "10"),
    ("report", "PLAN", "--no-finance", "-o", "PLAN/page.html"),
    ("stress", "--plan", "PLAN", "-k", "1"),
    ("compare", "PLAN", "MODEL"),
    ("graph", "--plan", "PLAN"),
)
#: Changes of a random model that are tried until one is a model.
MOST_TRIES = 8
#: Relative difference of optima that the tolerances of solvers leave, and of cascades.
SAME_COST, SAME_COURSE = 3e-6, 1e-9
SHORT_MINUTES = 30.0


def whole_runs(folder: Path) -> Target:
    """`plan optimize`, `plan verify` of what it writes, and one command that takes plans."""
    schema, model, plan = model_schema(), folder / "random.yaml", folder / "plan"

    def make(rng: Random) -> bytes:
        data: Data = draw(FIRST + rng.randrange(10**9))
        for _ in range(MOST_TRIES if rng.random() < 0.6 else 0):
            changed = Seed(b"", data, schema).changed_data(rng, rng.choice((1, 2, 4)), valid=0.9)
            model.write_text(json.dumps(changed), encoding="utf-8")
            try:
                load_model(model)
            except InputError:
                continue
            data = changed
            break
        words = ["--time-limit", "60", *rng.choice(WAYS)]
        return json.dumps({"model": data, "words": words, "use": rng.choice(USES)}).encode()

    def read(content: bytes) -> None:
        asked: dict[str, Any] = json.loads(content)
        model.write_text(json.dumps(asked["model"]), encoding="utf-8")
        shutil.rmtree(plan, ignore_errors=True)
        code = run("optimize", model, "-q", *asked["words"], "-o", plan, codes=(0, 2, 3, 4, 5))
        if not (plan / "plan.json").exists():
            if code not in (2, 3):
                raise Fault(f"no plan, with exit code {code}")
            return
        run("verify", plan, "-q")
        places = {"PLAN": str(plan), "MODEL": str(model), "PLAN/page.html": str(plan / "page.html")}
        codes = (0, 4) if asked["use"][0] != "finance" else (0, 2, 3)
        run(*(places.get(word, word) for word in asked["use"]), "-q", codes=codes)

    return Target(make, read)


def in_two_ways(_: Path) -> Target:
    """HiGHS against CBC, whole against in parts, compiled cascades against plain Python."""

    def make(rng: Random) -> bytes:
        return str(FIRST + rng.randrange(10**6)).encode()

    def read(content: bytes) -> None:
        seed = int(content)
        data = random_data(seed)
        exact = SolverSettings(gap=0.0)
        whole, parts = _solved(data, exact), SolverSettings(gap=1e-6, method="decomposed")
        _agree("in parts", whole, _in_parts(data, parts))
        _agree("cbc", whole, _solved(data, SolverSettings("cbc", gap=0.0)))
        _agree_on_course(seed)

    return Target(make, read)


def _solved(data: ProblemData, settings: SolverSettings) -> Solution:
    programme = build(data)
    solution = solve(programme, settings)
    if solution.status != "infeasible":
        audit(programme, solution)
    return solution


def _in_parts(data: ProblemData, settings: SolverSettings) -> Solution:
    programme, solution = solve_in_parts(Decomposition(data, settings), settings)
    if solution.status != "infeasible":
        audit(programme, solution)
    return solution


def _agree(what: str, one: Solution, other: Solution) -> None:
    if (one.status == "infeasible") != (other.status == "infeasible"):
        raise Fault(f"{what}: {other.status}, and {one.status}")
    if one.status == "infeasible":
        return
    if not math.isclose(one.objective, other.objective, rel_tol=SAME_COST, abs_tol=1.0):
        raise Fault(f"{what}: {other.objective!r}, and {one.objective!r}")
    if other.bound > one.objective * (1 + 1e-6) + 1.0:
        raise Fault(f"{what}: bound {other.bound!r} above {one.objective!r}")


def _agree_on_course(seed: int) -> None:
    model = drawn_model(seed)
    model = model.replace(simulation=model.simulation.replace(horizon_minutes=SHORT_MINUTES))
    fleet, scenarios = Fleet.existing(model), all_scenarios(model)
    if not scenarios:
        return
    _, compiled = cascade.simulate(model, fleet, scenarios)
    with patch.object(cascade, "compiled", lambda function: function):
        _, plain = cascade.simulate(model, fleet, scenarios)
    if not np.allclose(compiled.rows, plain.rows, rtol=SAME_COURSE, atol=SAME_COURSE):
        raise Fault(f"the compiled cascade of model {seed} differs from plain Python")
