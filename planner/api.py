"""The planner from Python: load a model, optimise it, simulate it, value plans.

>>> from planner import load_model, optimize, simulate
>>> model = load_model("tiny")
>>> simulate(model, only="region-west").failed
('region-west',)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from planner.amounts import money
from planner.errors import EXIT_INFEASIBLE, InputError, PlannerError, Problem
from planner.infrastructure import loading
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import SECTIONS, LoadedModel, nearest
from planner.optimization.infeasibility.diagnosis import Diagnosis
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import make_solver
from planner.plan import files as plan_files
from planner.plan.assembly import scenario_line
from planner.plan.records import Plan, survived
from planner.plan.reopening import Reopened, recorded, reopen
from planner.reliability import SAMPLES
from planner.reporting import frames
from planner.scenarios.selection import Selection, Wanted, parse_sets, select
from planner.simulation.verdict import Verdict, judge
from planner.verification import LoopResult, optimise_and_verify

if TYPE_CHECKING:
    from planner.finance.study import FinanceStudy
    from planner.infrastructure.failures import Scenario

Text = str | Iterable[str]
#: Columns of verdicts that a notebook shows.
SHOWN = ["severity", "status", "recovery_minutes", "peak_temperature_c", "emergency_usd"]
SHOWN += ["first_breach"]


class InfeasibleError(PlannerError):
    """No plan meets every requirement.

    Attributes
    ----------
    diagnosis
        Which requirements and limits cannot all hold, and the cheapest ways out.
    """

    exit_code = EXIT_INFEASIBLE

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        super().__init__("\n".join(["no plan meets every requirement", *diagnosis.lines()]))


# ------------------------------------------------------------------------------------------ models


@dataclass(frozen=True, repr=False)
class PlannerModel(LoadedModel):
    """A loaded model: ``model`` with all entities, ``name``, ``sha256``, ``overrides``."""

    def __repr__(self) -> str:
        return f"<model {self.name}: {', '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        facts = [text for text in (self.model.description, ", ".join(self._facts())) if text]
        return frames.as_html(self.name, facts, {})

    def _facts(self) -> list[str]:
        counts = ((len(getattr(self.model, name)), name) for name in SECTIONS)
        return [f"{n} {name.removesuffix('s') if n == 1 else name}" for n, name in counts if n]

    def to_frame(self, section: str = "clusters") -> pd.DataFrame:
        """A section of the model as a table, one row for each entry.

        Raises
        ------
        InputError
            If models have no such section.

        Examples
        --------
        >>> load_model("tiny").to_frame("clusters")["existing_gpus"].sum()
        np.int64(1400)
        """
        if section not in SECTIONS:
            expected = f"expected one of {', '.join(SECTIONS)}"
            hint = nearest(section, SECTIONS)
            raise InputError.single(self.name, f"no section `{section}`; {expected}{hint}")
        entries = getattr(self.model, section)
        rows = {name: one.model_dump(exclude={"name"}) for name, one in entries.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")

    @property
    def scenarios(self) -> pd.DataFrame:
        """What can fail: severity, times a year and number of events of every scenario."""
        return self.select()

    def select(self, scenarios: Text = (), only: Text = ()) -> pd.DataFrame:
        """Scenarios of some sets as a table.

        Examples
        --------
        >>> load_model("tiny").select("n-1").index.tolist()[:2]
        ['unit-west-chillers', 'unit-east-chillers']
        """
        rows = [
            (one.name, one.severity, one.frequency_per_year, len(one.events))
            for one in _selection(self, scenarios, only).scenarios
        ]
        columns = ["name", "severity", "frequency_per_year", "events"]
        return pd.DataFrame(rows, columns=columns).set_index("name")


def load_model(
    reference: str | Path, overrides: Mapping[str, object] | Iterable[str] = ()
) -> PlannerModel:
    """Load and validate a model.

    Parameters
    ----------
    reference
        Path of a model file, or the name of a shipped model.
    overrides
        Values to change by path, ``{"finance.discount_rate": 0.1}``, or texts ``path=value``.

    Raises
    ------
    InputError
        With every problem of the file, each with line and column.

    Examples
    --------
    >>> load_model("tiny")
    <model tiny: 2 regions, 1 gpu, 2 clusters, 3 cooling_units, 3 plants, 2 tiers, 2 zones, 1 offer>
    >>> load_model("tiny", {"finance.discount_rate": 0.1}).model.finance.discount_rate
    0.1
    """
    if isinstance(overrides, Mapping):
        texts = tuple(f"{path}={_written(value)}" for path, value in overrides.items())
    else:
        texts = (overrides,) if isinstance(overrides, str) else tuple(overrides)
    return _own(loading.load_model(reference, texts))


def _written(value: object) -> str:
    """A value as ``--set`` reads it.

    >>> _written(np.int64(5)), _written(np.array([0.5, 1.0]))
    ('5', '[0.5, 1.0]')
    """
    import json

    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InputError.single("overrides", f"{value!r} is not a value: {error}") from error


def _own(loaded: LoadedModel) -> PlannerModel:
    if isinstance(loaded, PlannerModel):
        return loaded
    return PlannerModel(**vars(loaded))


def _loaded(model: str | Path | LoadedModel) -> PlannerModel:
    return _own(model) if isinstance(model, LoadedModel) else load_model(model)


def _texts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def _selection(loaded: LoadedModel, scenarios: Text, only: Text) -> Selection:
    """Scenarios that are asked for; no sets mean those of the model.

    Raises
    ------
    InputError
        If a set or pattern is unknown, or nothing is left.
    """
    sets, patterns = _texts(scenarios), _texts(only)
    usual = Wanted()
    found = select(loaded.model, Wanted(parse_sets(sets) if sets else usual.sets, patterns))
    if not found.scenarios:
        raise InputError.single(loaded.name, "no scenarios: nothing can fail")
    return found


# ------------------------------------------------------------------------------------- simulations


@dataclass(frozen=True, repr=False)
class Simulation:
    """Every scenario simulated on what exists, or on a plan.

    Attributes
    ----------
    model, fleet
        What was simulated.
    scenarios, verdicts
        What failed, and what came of it, in the same order.
    notes
        What is to be known about the plan and its model, such as the settings it was made with.
    """

    model: PlannerModel
    fleet: Fleet
    scenarios: tuple[Scenario, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether every scenario that is judged meets the survival standard."""
        return not any(one.fails for one in self.verdicts)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the scenarios that fall short."""
        return tuple(one.name for one in self.verdicts if one.fails)

    def __getitem__(self, name: str) -> Verdict:
        """Verdict of a scenario."""
        return self.verdicts[self._index(name)]

    def to_frame(self) -> pd.DataFrame:
        """Verdicts, one row for each scenario.

        Examples
        --------
        >>> simulate("tiny", only="region-west").to_frame().loc["region-west", "severity"]
        'region'
        """
        return frames.scenarios(scenario_line(one) for one in self.verdicts)

    def timeline(self, name: str) -> pd.DataFrame:
        """A scenario minute by minute: served, temperature, cooling, queue, cloud.

        Raises
        ------
        InputError
            If there is no such scenario.

        Examples
        --------
        >>> minutes = simulate("tiny", only="region-west").timeline("region-west")
        >>> minutes[["served[business]", "temperature_c[west-gpus]"]].shape
        (720, 2)
        """
        scenario = self.scenarios[self._index(name)]
        return frames.timeline(self.model.model, self.fleet, scenario)

    def story(self, name: str) -> pd.DataFrame:
        """What happened in a scenario, in words, with minutes and time of day.

        Raises
        ------
        InputError
            If there is no such scenario.
        """
        return frames.story(self[name])

    def _index(self, name: str) -> int:
        names = [one.name for one in self.verdicts]
        if name not in names:
            raise InputError.single(
                self.model.name, f"no scenario `{name}` was simulated{nearest(name, names)}"
            )
        return names.index(name)

    def _fact(self) -> str:
        survived = len(self.verdicts) - len(self.failed)
        return f"{survived} of {len(self.verdicts)} scenarios survived"

    def __repr__(self) -> str:
        named = ", ".join(self.failed[:3]) + (", …" if len(self.failed) > 3 else "")
        failed = f"; not {named}" if self.failed else ""
        return f"<simulation of {self.model.name}: {self._fact()}{failed}>"

    def _repr_html_(self) -> str:
        facts = [f"{self._fact()}.", *(f"Note: {one}." for one in self.notes)]
        return frames.as_html(
            f"Simulation of {self.model.name}", facts, {"Scenarios": _shown(self.to_frame())}
        )


def simulate(
    model: str | Path | LoadedModel | None = None,
    plan: Plan | Optimum | str | Path | None = None,
    *,
    scenarios: Text = (),
    only: Text = (),
    jobs: int = 1,
) -> Simulation:
    """Simulate the cascade of every failure on what exists in a model, or on a plan.

    Parameters
    ----------
    model
        Model, its file, or the name of a shipped one; None for that of the plan.
    plan
        What `optimize` returned, or a plan, its ``plan.json`` or folder; None for what exists. It
        is simulated with the settings that it was made with; those of the model come after them.
    scenarios
        Sets of scenarios, such as ``"n-1"`` or ``["n-1", "regions"]``; none means those of the
        plan, or else of the model.
    only
        Patterns of names: ``"region-*"``.
    jobs
        Processes; worth while from some hundreds of scenarios on, and only in a script that is
        safe to import.

    Raises
    ------
    InputError
        If the model, the plan or a name is wrong, or they do not fit.

    Examples
    --------
    >>> simulate("tiny", only="region-west")
    <simulation of tiny: 0 of 1 scenarios survived; not region-west>
    >>> simulate("tiny", "out").to_frame()  # doctest: +SKIP
    """
    _check_least(jobs=jobs)
    wanted: Wanted | None = None
    notes: tuple[str, ...] = ()
    if plan is not None:
        opened = _reopened(plan, model)
        loaded, fleet = _own(opened.loaded), opened.fleet
        wanted, notes = opened.wanted, opened.notes
    elif model is not None:
        loaded = _loaded(model)
        fleet = Fleet.existing(loaded.model)
    else:
        raise InputError.single("simulate", "needs a model or a plan")
    if wanted is None or _texts(scenarios):
        chosen = _selection(loaded, scenarios, only).scenarios
    elif _texts(only):
        chosen = _selection(loaded, wanted.sets, only).scenarios
    else:
        chosen = select(loaded.model, wanted).scenarios
    return Simulation(loaded, fleet, chosen, judge(loaded.model, fleet, chosen, jobs), notes)


def _reopened(
    plan: Plan | Optimum | str | Path, model: str | Path | LoadedModel | None, name: str = "plan"
) -> Reopened:
    """A plan with its model, from whatever names them."""
    source = _source(plan, name)
    if model is None and isinstance(plan, Optimum):
        model = plan.model
    return reopen(source, model, remedy="give it as `model`")


def _source(plan: Plan | Optimum | str | Path, name: str = "plan") -> Plan | str | Path:
    source = plan.plan if isinstance(plan, Optimum) else plan
    if not isinstance(source, Plan | str | Path):
        raise InputError.single(name, f"expected a plan or its file, not {source!r}")
    return source


def _start_of(plan: Plan | Optimum | str | Path | None, loaded: LoadedModel) -> Fleet | None:
    """Fleet of a plan that fits a model, from which a search starts."""
    if plan is None:
        return None
    source = _source(plan)
    if isinstance(source, Plan):
        plan_files.check_fit(source, loaded, "plan")
        return source.fleet(loaded.model)
    return plan_files.read_plan(Path(source), loaded).fleet(loaded.model)


def _check_least(**values: int) -> None:
    """Check numbers of things of which there is at least one.

    Raises
    ------
    InputError
        With each that is too small.
    """
    problems = [
        Problem(name, 0, 0, "", f"expected at least 1, not {value}")
        for name, value in values.items()
        if value < 1
    ]
    if problems:
        raise InputError(problems)


# ------------------------------------------------------------------------------------------- plans


@dataclass(frozen=True, repr=False)
class Optimum:
    """A plan with the model that it is for and the rounds that led to it.

    Attributes
    ----------
    model
        The model, as it was planned for.
    plan
        The plan, as ``plan.json`` holds it.
    outcome
        Rounds of optimising and simulating.
    """

    model: PlannerModel
    plan: Plan
    outcome: LoopResult = field(compare=False)

    @property
    def survives(self) -> bool:
        """Whether every scenario survived on the plan."""
        return self.plan.verification.survives

    @property
    def usd_per_year(self) -> float:
        """Cost of a year: owning, running and what failures are expected to cost."""
        return self.plan.cost.usd_per_year

    @property
    def capital_usd(self) -> float:
        """Capital to spend."""
        return self.plan.cost.capital_usd

    @cached_property
    def purchases(self) -> pd.DataFrame:
        """What there is, what is bought, what is retired."""
        return frames.purchases(self.plan, self.model.model)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Cost items."""
        return frames.costs(self.plan)

    @cached_property
    def scenarios(self) -> pd.DataFrame:
        """Verdicts of all scenarios."""
        return frames.scenarios(self.plan.scenarios)

    def to_frame(self) -> pd.DataFrame:
        """The purchases."""
        return self.purchases

    def simulate(self, *, scenarios: Text = (), only: Text = (), jobs: int = 1) -> Simulation:
        """Simulate scenarios on the plan, its own if none are named."""
        return simulate(self.model, self, scenarios=scenarios, only=only, jobs=jobs)

    def save(self, folder: str | Path) -> Path:
        """Write ``plan.json`` and its tables into a folder; returns the path of ``plan.json``.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        return plan_files.write_plan(self.plan, Path(folder))[-1]

    def _facts(self) -> list[str]:
        return [
            f"{money(self.usd_per_year)} a year",
            f"capital {money(self.capital_usd, 1)}",
            f"proven to {self.plan.gap:.3%}",
            survived(self.plan.scenarios),
        ]

    def __repr__(self) -> str:
        return f"<plan for {self.model.name}: {'; '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        bought = self.purchases.query(
            "bought > 0 or retired > 0 or kind == 'emergency' and total > 0"
        )
        tables = {
            "Purchases": bought.reset_index(drop=True).fillna({"region": ""}),
            "Cost": _by_category(self.costs),
            "Scenarios": _shown(self.scenarios),
        }
        return frames.as_html(
            f"Plan for {self.model.name}", [f"{'; '.join(self._facts())}."], tables
        )


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts for a notebook, with words for what is missing."""
    texts = {"recovery_minutes": "never", "first_breach": ""}
    return verdicts[SHOWN].astype(dict.fromkeys(texts, object)).fillna(texts)


def _by_category(costs: pd.DataFrame) -> pd.DataFrame:
    return costs.groupby("category", sort=False)[["capital_usd", "usd_per_year"]].sum()


def optimize(
    model: str | Path | LoadedModel,
    *,
    scenarios: Text = (),
    only: Text = (),
    solver: str = "highs",
    gap: float = 1e-4,
    time_limit_seconds: float | None = None,
    threads: int | None = None,
    rounds: int = 12,
    start: Plan | Optimum | str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Optimum:
    """Find the cheapest plan that survives every scenario of a model.

    Parameters
    ----------
    model
        Model, its file, or the name of a shipped one.
    scenarios, only
        As for `simulate`.
    solver, gap, time_limit_seconds, threads
        Solver, relative gap at which a plan counts as proven, time for all rounds together.
    rounds
        Most rounds of optimising and simulating.
    start
        Earlier plan, from which the search starts.
    progress
        Told what is worked on; `print` will do.

    Returns
    -------
    Optimum
        The best plan. Look at ``survives``: where the margins that the simulation asks for cannot
        be met, or time ends, it is the best plan found.

    Raises
    ------
    InfeasibleError
        If no plan meets every requirement; says why.
    InputError
        If the model, a name or a setting is wrong.
    SolverError
        If time ends before there is a plan.

    Examples
    --------
    >>> result = optimize("tiny")
    >>> result.survives
    True
    >>> result.purchases.query("kind == 'gpus'")["bought"].sum()
    np.int64(400)
    """
    loaded = _loaded(model)
    _check_least(rounds=rounds)
    try:
        settings = SolverSettings(solver, gap, time_limit_seconds, threads)
    except ValueError as error:
        raise InputError.single("optimize", str(error)) from error
    make_solver(settings)
    earlier = _start_of(start, loaded)
    selection = _selection(loaded, scenarios, only)
    outcome = optimise_and_verify(
        loaded.model,
        selection.scenarios,
        settings,
        rounds,
        lambda one: progress(f"round {one.number}: {len(one.failed)} scenarios fail"),
        earlier,
        progress,
    )
    if outcome.best is None:
        raise InfeasibleError(outcome.diagnosis or Diagnosis())
    return Optimum(loaded, recorded(outcome.plan(loaded, settings), selection.wanted), outcome)


def read_plan(plan: str | Path, model: str | Path | LoadedModel | None = None) -> Plan:
    """Read a ``plan.json`` or the folder that holds one.

    Parameters
    ----------
    model
        Model that it must fit; None to read it whatever it is for.

    Raises
    ------
    InputError
        With every problem: unreadable, not a plan, or for another model.
    """
    path = Path(plan)
    return (
        plan_files.parse_plan(path) if model is None else plan_files.read_plan(path, _loaded(model))
    )


# ----------------------------------------------------------------------------------------- finance


@dataclass(frozen=True, repr=False)
class Appraisal:
    """Plans valued against what exists.

    Attributes
    ----------
    study
        Everything that was worked out.
    notes
        What is to be known about the plans and their models.
    """

    study: FinanceStudy
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Returns and costs, one row for each build, what exists first."""
        from planner.reporting.finance_tables import finance_data

        rows = [
            {key: one for key, one in row.items() if not isinstance(one, dict | list)}
            for row in finance_data(self.study)["plans"]
        ]
        return pd.DataFrame(rows).set_index("name")

    def table(self, name: str) -> pd.DataFrame:
        """A table of all builds: capital, running, cash_flow, losses, exceedance, credits, cooling.

        Raises
        ------
        InputError
            If there is no such table.
        """
        from planner.reporting.finance_tables import finance_data

        plans = finance_data(self.study)["plans"]
        names = [key for key, one in plans[0].items() if isinstance(one, list)]
        if name not in names:
            expected = f"expected one of {', '.join(names)}{nearest(name, names)}"
            raise InputError.single("table", f"no `{name}`; {expected}")
        return pd.DataFrame([{"plan": plan["name"], **row} for plan in plans for row in plan[name]])

    def __repr__(self) -> str:
        names = ", ".join(one.build.name for one in self.study.valued)
        return f"<appraisal of {self.study.model}: {names}>"

    def _repr_html_(self) -> str:
        return frames.as_html(
            f"Appraisal of {self.study.model}", [], {"Builds": self.to_frame().transpose()}
        )


def appraise(
    model: str | Path | LoadedModel,
    plans: Mapping[str, Plan | Optimum | str | Path] | Plan | Optimum | str | Path,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    alpha: float = 0.95,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Appraisal:
    """Value plans for a model against what exists: capital, returns, losses, risk.

    Parameters
    ----------
    plans
        A plan, or several by name.
    samples, seed, alpha
        Cascades simulated for each build, seed, and confidence of value at risk.
    jobs, progress
        As for `simulate` and `optimize`.

    Raises
    ------
    InputError
        If a plan does not fit the model, or a price is missing.

    Examples
    --------
    >>> appraisal = appraise("tiny", optimize("tiny"), samples=10)  # doctest: +SKIP
    >>> appraisal.to_frame().loc["plan", "capital_usd"] > 0  # doctest: +SKIP
    np.True_
    """
    from planner.finance.assumptions import Assumptions
    from planner.finance.builds import Build
    from planner.finance.study import Sampling, missing_prices, study_of

    _check_least(samples=samples, jobs=jobs)
    if not 0 <= alpha < 1:
        raise InputError.single("alpha", f"expected a share from 0 to below 1, not {alpha}")
    if seed < 0:
        raise InputError.single("seed", f"expected at least 0, not {seed}")
    loaded = _loaded(model)
    named = plans if isinstance(plans, Mapping) else {"plan": plans}
    chosen = _selection(loaded, (), ()).scenarios
    builds = [Build("as it was", loaded.model, Fleet.existing(loaded.model), chosen)]
    notes: list[str] = []
    for name, one in named.items():
        opened = _reopened(one, loaded, str(name))
        scenarios = select(opened.loaded.model, opened.wanted).scenarios
        made = opened.plan if opened.fresh else None
        builds.append(Build(name, opened.loaded.model, opened.fleet, scenarios, made))
        notes += [f"{name}: {note}" for note in opened.notes]
    problems = missing_prices(builds)
    if problems:
        raise InputError(problems)
    assumptions = Assumptions.of(loaded.model.finance)
    sampling = Sampling(samples, seed, alpha, jobs)
    study = study_of(loaded, builds, assumptions, sampling, None, progress)
    return Appraisal(study, tuple(notes))


__all__ = [
    "Appraisal",
    "InfeasibleError",
    "Optimum",
    "PlannerModel",
    "Simulation",
    "appraise",
    "load_model",
    "optimize",
    "read_plan",
    "simulate",
]
