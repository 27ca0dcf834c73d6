"""chatgpt-2023-measures: of all that is on offer the plan buys a larger sign-in alone."""

from __future__ import annotations

from planner.infrastructure.loading import load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Margin
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.scenarios.generators import all_scenarios

#: The loop ends with these.
MARGINS = {"region-us-west": Margin(demand=0.0253, services=0.3764)}


def test_the_sign_in_is_worth_its_price() -> None:
    model = load_model("chatgpt-2023-measures").model
    programme = build(ProblemData(model, all_scenarios(model), MARGINS))
    solution = solve(programme, SolverSettings(gap=1e-2))
    audit(programme, solution)

    assert solution.fleet.measures == {"sign-in-capacity"}
