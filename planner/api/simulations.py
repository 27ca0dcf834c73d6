"""Simulations: every failure on what exists, or on a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from planner.api.models import (
    ModelReference,
    PlannerModel,
    Text,
    as_planner_model,
    selection,
    texts,
)
from planner.api.notebook import Shown
from planner.api.references import REMEDY, PlanReference, model_of, plan_source
from planner.errors import InputError
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.source import nearest
from planner.plan.assembly import scenario_line
from planner.plan.reopening import subject
from planner.reporting import frames
from planner.scenarios.hours import matches
from planner.scenarios.loss import loss_of
from planner.simulation.verdict import Verdict, judge, worst_of

#: Columns of verdicts that a notebook shows.
SHOWN = ["severity", "status", "recovery_minutes", "peak_temperature_c", "emergency_usd"]
SHOWN += ["first_breach"]


@dataclass(frozen=True, repr=False)
class Simulation(Shown):
    """Every scenario simulated on what exists, or on a plan.

    Attributes
    ----------
    model, fleet
        What was simulated.
    failures, verdicts
        What failed, and what came of it, in the same order.
    notes
        What is to be known about the plan and its model, such as the settings it was made with.
    """

    model: PlannerModel
    fleet: Fleet
    failures: tuple[Scenario, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether every scenario that is judged meets the survival standard."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the scenarios that fall short of the survival standard."""
        return tuple(verdict.name for verdict in self.verdicts if verdict.fails)

    def __getitem__(self, name: str) -> Verdict:
        """Verdict of a scenario; of a failure that at its worst hour."""
        return self.verdicts[self._index(name)]

    @cached_property
    def scenarios(self) -> pd.DataFrame:
        """Verdicts, one row for each scenario.

        Examples
        --------
        >>> simulate("tiny", only="region-west").scenarios.loc["region-west", "severity"]
        'region'
        """
        return frames.scenarios(scenario_line(verdict) for verdict in self.verdicts)

    def timeline(self, name: str) -> pd.DataFrame:
        """A scenario minute by minute: served, temperature, cooling, queue, cloud.

        Raises
        ------
        InputError
            If no scenario of that name was simulated.

        Examples
        --------
        >>> minutes = simulate("tiny", only="region-west").timeline("region-west")
        >>> minutes[["served[business]", "temperature_c[west-gpus]"]].shape
        (720, 2)
        """
        return frames.timeline(self.model.model, self.fleet, self.failures[self._index(name)])

    def story(self, name: str) -> pd.DataFrame:
        """What happened in a scenario, in words, with minutes and time of day.

        Raises
        ------
        InputError
            If no scenario of that name was simulated.
        """
        return frames.story(self[name])

    def _index(self, name: str) -> int:
        names = [verdict.name for verdict in self.verdicts]
        at_hours = [verdict for verdict in self.verdicts if matches(name, verdict.name)]
        if name not in names and at_hours:
            return names.index(worst_of(at_hours).name)
        if name not in names:
            raise InputError.single(
                self.model.name, f"no scenario `{name}` was simulated{nearest(name, names)}"
            )
        return names.index(name)

    def _title(self) -> str:
        return f"simulation of {self.model.name}"

    def _facts(self) -> list[str]:
        survived = len(self.verdicts) - len(self.failed)
        facts = [f"{survived} of {len(self.verdicts)} scenarios survived"]
        if self.failed:
            named = ", ".join(self.failed[:3]) + (", …" if len(self.failed) > 3 else "")
            facts.append(f"not {named}")
        return facts

    def _sentences(self) -> list[str]:
        return [f"{self._facts()[0]}.", *(f"Note: {note}." for note in self.notes)]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Scenarios": readable(self.scenarios)}


def readable(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts for a notebook, with words for what is missing."""
    texts = {"recovery_minutes": "never", "first_breach": ""}
    told = {
        name: [text if pd.isna(value) else value for value in verdicts[name]]
        for name, text in texts.items()
    }
    return verdicts[SHOWN].assign(**told)


def simulate(
    model: ModelReference | None = None,
    plan: PlanReference | None = None,
    *,
    scenarios: Text = (),
    only: Text = (),
    lose: Text = (),
    hour: int | None = None,
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
    lose, hour
        Instead: nodes that are lost together, and at which hour of the week (None: at the peak).

    Raises
    ------
    InputError
        If the model, the plan or a name is wrong, or they do not fit.

    Examples
    --------
    >>> simulate("tiny", only="region-west")
    <simulation of tiny: 0 of 1 scenarios survived; not region-west>
    >>> simulate("tiny", lose="west-chillers")
    <simulation of tiny: 0 of 1 scenarios survived; not loss-plant-west-chillers>
    >>> simulate("tiny", "out").scenarios  # doctest: +SKIP
    """
    source = None if plan is None else plan_source(plan)
    given = model if plan is None else model_of(plan, model)
    found = subject(given, source, remedy=REMEDY)
    loaded = as_planner_model(found.loaded)
    failures: tuple[Scenario, ...]
    if lose:
        failures = (loss_of(loaded.model, found.fleet, texts(lose), hour, "lose")[0],)
    else:
        failures = selection(loaded, scenarios, only, found.wanted).scenarios
    verdicts = judge(loaded.model, found.fleet, failures)
    return Simulation(loaded, found.fleet, failures, verdicts, found.notes)
