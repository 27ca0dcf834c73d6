"""Resilience capacity planner: cheapest plans for AI platforms that survive their failures.

From Python: ``from planner import load_model, optimize, simulate, appraise``, described in
`planner.api`. Each name is imported when it is asked for, so that ``import planner`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api import Appraisal as Appraisal
    from planner.api import InfeasibleError as InfeasibleError
    from planner.api import Optimum as Optimum
    from planner.api import PlannerModel as PlannerModel
    from planner.api import Simulation as Simulation
    from planner.api import appraise as appraise
    from planner.api import load_model as load_model
    from planner.api import optimize as optimize
    from planner.api import read_plan as read_plan
    from planner.api import simulate as simulate
    from planner.errors import InputError as InputError
    from planner.errors import PlannerError as PlannerError

__version__ = "0.2.0"

#: Names of the API and the module that has each.
_PLACES = {
    "Appraisal": "planner.api",
    "InfeasibleError": "planner.api",
    "InputError": "planner.errors",
    "Optimum": "planner.api",
    "PlannerError": "planner.errors",
    "PlannerModel": "planner.api",
    "Simulation": "planner.api",
    "appraise": "planner.api",
    "load_model": "planner.api",
    "optimize": "planner.api",
    "read_plan": "planner.api",
    "simulate": "planner.api",
}


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
