"""Resilience capacity planner: cheapest plans for AI platforms that survive their failures.

From Python: ``from planner import load_model, optimize, simulate, appraise``, described in
`planner.api`. Each name is imported when it is asked for, so that ``import planner`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api.appraisals import Appraisal as Appraisal
    from planner.api.appraisals import appraise as appraise
    from planner.api.checks import IncidentReplay as IncidentReplay
    from planner.api.checks import PlanCheck as PlanCheck
    from planner.api.checks import calibrate_incident as calibrate_incident
    from planner.api.checks import check as check
    from planner.api.checks import replay_incident as replay_incident
    from planner.api.comparisons import PlanComparison as PlanComparison
    from planner.api.comparisons import compare as compare
    from planner.api.explanations import PlanExplanation as PlanExplanation
    from planner.api.explanations import explain as explain
    from planner.api.failure_sets import Stress as Stress
    from planner.api.failure_sets import stress as stress
    from planner.api.models import PlannerModel as PlannerModel
    from planner.api.models import load_model as load_model
    from planner.api.plans import InfeasibleError as InfeasibleError
    from planner.api.plans import Optimum as Optimum
    from planner.api.plans import optimize as optimize
    from planner.api.references import read_plan as read_plan
    from planner.api.roadmaps import NoRoadmapError as NoRoadmapError
    from planner.api.roadmaps import OrderPlan as OrderPlan
    from planner.api.roadmaps import plan_roadmap as plan_roadmap
    from planner.api.roadmaps import read_roadmap as read_roadmap
    from planner.api.simulations import Simulation as Simulation
    from planner.api.simulations import simulate as simulate
    from planner.api.trade_offs import Alternatives as Alternatives
    from planner.api.trade_offs import CostFrontier as CostFrontier
    from planner.api.trade_offs import alternatives as alternatives
    from planner.api.trade_offs import frontier as frontier
    from planner.cluster import cluster_at as cluster_at
    from planner.errors import InputError as InputError
    from planner.errors import PlannerError as PlannerError
    from planner.finance.study import Sampling as Sampling
    from planner.optimization.solution.settings import SolverSettings as SolverSettings
    from planner.workers import Threads as Threads
    from planner.workers import shared_by as shared_by

__version__ = "0.10.0"

#: Modules of the API and the names that each has.
_MODULES = {
    "planner.api.appraisals": ("Appraisal", "appraise"),
    "planner.api.checks": (
        "IncidentCalibration",
        "IncidentReplay",
        "PlanCheck",
        "calibrate_incident",
        "check",
        "replay_incident",
    ),
    "planner.api.comparisons": ("PlanComparison", "compare"),
    "planner.api.explanations": ("PlanExplanation", "explain"),
    "planner.api.failure_sets": ("Stress", "stress"),
    "planner.api.models": ("PlannerModel", "load_model"),
    "planner.api.plans": ("InfeasibleError", "Optimum", "optimize"),
    "planner.api.references": ("read_plan",),
    "planner.api.roadmaps": ("NoRoadmapError", "OrderPlan", "plan_roadmap", "read_roadmap"),
    "planner.api.simulations": ("Simulation", "simulate"),
    "planner.api.trade_offs": ("Alternatives", "CostFrontier", "alternatives", "frontier"),
    "planner.cluster": ("cluster_at",),
    "planner.errors": ("InputError", "PlannerError"),
    "planner.finance.study": ("Sampling",),
    "planner.optimization.solution.settings": ("SolverSettings",),
    "planner.workers": ("Threads", "shared_by"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name of the API when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module `planner` has no attribute `{name}`")
    from importlib import import_module

    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Names of the API among the others, for completion in a notebook."""
    return sorted({*globals(), *_PLACES})
