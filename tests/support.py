"""Helpers for tests: models from text, plans from models, the command line."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from hypothesis import settings

from planner.commands import main
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.algebra import Problem
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.kept import KeptSolve, asked_of_solver
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, SolverOutcome, _run_solver, solve
from planner.reliability.monte_carlo import sample_occurrences
from planner.reliability.occurrences import Occurrences
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import Breach, Status, Verdict, _judged

CHECKOUT = Path(__file__).resolve().parent.parent
#: An export of NetBox with its totals.
NETBOX = CHECKOUT / "tests" / "imports" / "netbox-4.7.zip"
EXACT = SolverSettings(gap=0.0)
#: Six of ten requests are left with GPUs. The programme gives them to the upper tier at once;
#: operators only do so at minute 15, and until then everyone gets an equal share (nobody waits).
SHED_LATE = """
regions: {near: {power_limit_mw: 100}, far: {power_limit_mw: 100}}
gpus: {gpu: {power_mw: 0.0, static_share: 0.5, rps: 1.0, capital_usd: 30000.0}}
clusters:
  first: {region: near, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
  second: {region: far, gpu: gpu, existing_gpus: 600, block_gpus: 50, max_gpus: 2000,
           max_utilisation: 1.0}
tiers:
  high: {priority: 1, share: 0.6, value_usd_per_1000_requests: 100.0}
  low: {priority: 2, share: 0.4}
zones: {users: {demand_rps: 1000.0, latency_ms: {near: 1.0, far: 50.0}}}
operations: {detection_minutes: 5, response_minutes: 10, failover_minutes: 4,
             priority_shedding: operator, queue_limit_requests: 0}
standard: {region: [{tier: high, from_minute: 5, least_served: 0.9}]}
scenarios:
  loss: {severity: region, frequency_per_year: 0.01,
         events: [{kind: region, name: near, repair_minutes: 300}]}
simulation: {horizon_minutes: 200}
"""
#: Whether random models and examples are many, as before a release, or a few, as in every run.
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.register_profile("ci", max_examples=12, deadline=None, derandomize=True, database=None)
settings.load_profile("thorough" if THOROUGH else "ci")
#: Where the processes of a run keep what they worked out; made anew for every run.
MEMORY = "PLANNER_TESTS_MEMORY"
#: Key of the plan of the default model, as README has it: text of `plan.json`.
SHIPPED = b"plan optimize"
#: What was worked out, by the digest of what it was worked out from: pickled, which tells any two
#: apart.
KNOWN: dict[str, object] = {}


def benchmark_module(name: str) -> ModuleType:
    """A benchmark as a module."""
    spec = spec_from_file_location(name, CHECKOUT / "tests" / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict_of(
    name: str, status: Status = "survives", breaches: tuple[Breach, ...] = ()
) -> Verdict:
    """Outcome of a scenario that never recovers, told by hand."""
    return Verdict(
        name=name,
        severity="single",
        frequency_per_year=0.5,
        status=status,
        breaches=breaches,
        recovery_minutes=None,
        lost_requests=1234.5,
        peak_temperature_c=60.0,
        shutdowns=(),
        throttled_minutes=0,
        peak_queue_requests=10.0,
        emergency_usd=99.0,
        served={},
        served_by_zone={},
        impact={},
        retry_ratio=1.0,
        alerts=(),
        story=(),
    )


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
    name = hashlib.sha256(key).hexdigest()
    if name not in KNOWN and (path := Path(os.environ[MEMORY]) / name).exists():
        KNOWN[name] = pickle.loads(path.read_bytes())
    return cast("T | None", KNOWN.get(name))


def remember(key: bytes, value: object) -> None:
    """Keep a result for this run, in this process and for the others."""
    name = hashlib.sha256(key).hexdigest()
    KNOWN[name] = value
    path = Path(os.environ[MEMORY]) / name
    half = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    half.write_bytes(pickle.dumps(value))
    half.replace(path)


def solved_once(
    problem: Problem, settings: SolverSettings, start: Mapping[str, float] | None, linear: bool
) -> SolverOutcome:
    """Solve as a solver does, or recall what it answered to just the same programme before.

    What has a time limit is solved anew. Checkpoints keep answers in the same way
    (``tests/commands/test_checkpoint.py``).
    """
    if settings.stopped or settings.time_limit_seconds is not None:
        return _run_solver(problem, settings, start, linear)
    key = b"programme".join(asked_of_solver(problem, settings, start or {}, linear))
    kept: KeptSolve | None = remembered(key)
    if kept is None:
        found = _run_solver(problem, settings, start, linear)
        kept = KeptSolve.of(problem, found.stats, found.bound, found.hidden)
        if kept.final:
            remember(key, kept)
        return found
    kept.bring_back(problem)
    return SolverOutcome(kept.stats, kept.bound, kept.hidden)


def judged_once(
    model: Model, part: tuple[Fleet, bool, int, tuple[Scenario, ...]]
) -> tuple[Verdict, ...]:
    """Simulate as the simulator does, or recall what came of the same scenario before.

    Scenarios do not depend on those that are simulated with them
    (``tests/simulation/test_vectorisation.py``).
    """
    fleet, stories, size, scenarios = part
    world = pickle.dumps((model, fleet, stories))
    keys = [world + pickle.dumps(scenario) for scenario in scenarios]
    found: list[Verdict | None] = [remembered(key) for key in keys]
    new = [index for index, verdict in enumerate(found) if verdict is None]
    some = tuple(scenarios[index] for index in new)
    made = _judged(model, (fleet, stories, size, some)) if some else ()
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


def restated(data: dict[str, Any], sha256: str | None = "0" * 64) -> dict[str, Any]:
    """An edited plan that agrees with itself again.

    Parameters
    ----------
    sha256
        Of another model than it was made for, against which not all of it is held; None for its
        own.
    """
    cost, proof, lines = data["cost"], data["verification"], data["scenarios"]
    for field in ("capital_usd", "usd_per_year"):
        cost[field] = sum(item[field] for item in cost["items"])
    data["objective_usd_per_year"] = cost["usd_per_year"]
    status = [line["status"] for line in lines]
    proof |= {
        "survives": "fails" not in status,
        "judged": status.count("survives") + status.count("fails"),
        "not_judged": status.count("not judged"),
        "not_applicable": status.count("not applicable"),
        "survivor_bound_usd_per_year": None,
    }
    failed = [line["name"] for line in lines if line["status"] == "fails"]
    for made in proof["rounds"]:
        made |= {"objective_usd_per_year": cost["usd_per_year"], "failed": failed}
    names = {line["name"] for line in lines}
    spent = (item["usd_per_year"] for item in cost["items"] if item["category"] == "recourse")
    once = {name: usd for name, usd in data["risk"]["once_usd"].items() if name in names}
    data["risk"] |= {"once_usd": once, "expected_usd_per_year": sum(spent)}
    if sha256 is not None:
        data["model"]["sha256"] = sha256
    return data


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


def run_here(
    *arguments: str, cwd: Path | None = None, columns: int = 80
) -> subprocess.CompletedProcess[str]:
    """Run ``plan`` in this process, where only what it prints is asked."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        patched.setenv("COLUMNS", str(columns))
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return subprocess.CompletedProcess(arguments, ended.value.code, out.getvalue(), err.getvalue())
