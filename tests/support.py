"""Helpers for tests: models from text, plans from models, the command line."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.reliability.monte_carlo import sample_occurrences
from planner.reliability.occurrences import Occurrences
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import Verdict, _judge_part

CHECKOUT = Path(__file__).resolve().parent.parent
EXACT = SolverSettings(gap=0.0)
#: Whether random models and examples are many, as before a release, or a few, as in every run.
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
#: Where the processes of a run keep what they worked out; made anew for every run.
MEMORY = "PLANNER_TESTS_MEMORY"
#: What was worked out, by what it was worked out from: pickled, which tells any two apart.
KNOWN: dict[bytes, object] = {}


def often[T](few: T, many: T) -> T:
    """How many random models or examples: few in every run, many in a thorough one."""
    return many if THOROUGH else few


def model_of(folder: Path, text: str, *overrides: str, name: str = "model") -> Model:
    """Model of a YAML text."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return load_model(path, overrides).model


def solved(model: Model, settings: SolverSettings = EXACT) -> tuple[Programme, Solution]:
    """Programme of a model with all its scenarios, and its solution."""
    programme = build(ProblemData(model, all_scenarios(model), {}))
    return programme, solve(programme, settings)


def remembered[T](key: bytes) -> T | None:
    """What any process of this run worked out under a key before."""
    if key not in KNOWN and (path := _kept(key)).exists():
        KNOWN[key] = pickle.loads(path.read_bytes())
    return cast("T | None", KNOWN.get(key))


def remember(key: bytes, value: object) -> None:
    """Keep a result for this run, in this process and for the others."""
    KNOWN[key] = value
    path = _kept(key)
    half = path.with_suffix(f".{os.getpid()}")
    half.write_bytes(pickle.dumps(value))
    half.replace(path)


def _kept(key: bytes) -> Path:
    return Path(os.environ[MEMORY]) / hashlib.sha256(key).hexdigest()


def judged_once(
    model: Model, fleet: Fleet, stories: bool, size: int, scenarios: tuple[Scenario, ...]
) -> tuple[Verdict, ...]:
    """Simulate as the simulator does, or recall what came of the same scenario before.

    Scenarios do not depend on those that are simulated with them
    (``tests/simulation/test_vectorisation.py``).
    """
    world = pickle.dumps((model, fleet, stories))
    keys = [world + pickle.dumps(scenario) for scenario in scenarios]
    found: list[Verdict | None] = [remembered(key) for key in keys]
    new = [index for index, verdict in enumerate(found) if verdict is None]
    some = tuple(scenarios[index] for index in new)
    made = _judge_part(model, fleet, stories, size, some) if some else ()
    for index, verdict in zip(new, made, strict=True):
        remember(keys[index], verdict)
        found[index] = verdict
    return tuple(verdict for verdict in found if verdict is not None)


def sampled_once(
    model: Model,
    fleet: Fleet,
    scenarios: Sequence[Scenario],
    samples: int,
    seed: int,
    **rest: Any,
) -> Occurrences:
    """Sample failures, or recall those of just the same fleet."""
    key = pickle.dumps((model, fleet, tuple(scenarios), samples, seed))
    found: Occurrences | None = remembered(key)
    if found is None:
        found = sample_occurrences(model, fleet, scenarios, samples, seed, **rest)
        remember(key, found)
    return found


def run_plan(
    *arguments: str, cwd: Path | None = None, columns: int = 80
) -> subprocess.CompletedProcess[str]:
    """Run ``plan`` as a user would, through the launcher of the checkout."""
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "cli.py"), *arguments],
        cwd=cwd,
        env=os.environ | {"COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
