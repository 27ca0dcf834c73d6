"""Sets of failures that a plan does not survive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from planner.analysis.stress import search
from planner.analysis.stress.failure_sets import FailureSets
from planner.analysis.stress.search import SetOutcome
from planner.api.models import ModelReference, PlannerModel, Text, as_planner_model, texts
from planner.api.notebook import Shown, frame, table
from planner.api.references import REMEDY, PlanReference, check_least, model_of, plan_source
from planner.errors import InputError
from planner.infrastructure.failures import HourChoice
from planner.infrastructure.fleet import Fleet
from planner.plan.reopening import subject
from planner.reporting.stress import set_data, verdict_line


@dataclass(frozen=True, repr=False)
class Stress(Shown):
    """Every set of failures up to a size, with what comes of it.

    Attributes
    ----------
    model, fleet
        What was stressed.
    found
        How each set was settled, and its outcome.
    """

    model: PlannerModel
    fleet: Fleet
    found: search.Stress

    @property
    def survives(self) -> bool:
        """Whether no set breaks the survival standard."""
        return self.found.survives

    @property
    def smallest(self) -> tuple[tuple[str, ...], ...]:
        """The smallest sets that fail, the worst first."""
        return tuple(one.failures for one in self.found.smallest)

    minimal = frame(
        "Sets that fail though none of their parts does.", lambda self: _table(self.found.minimal)
    )

    @property
    def worst(self) -> tuple[str, ...]:
        """The set of the largest size that fails, or else loses most requests."""
        found = self.found.worst(self.found.size)
        return () if found is None else found.failures

    @property
    def sizes(self) -> pd.DataFrame:
        """How many sets of each size were settled in which way, and how many fail."""
        rows = [{**vars(summary), "unsettled": summary.unsettled} for summary in self.found.sizes]
        return table(rows, "size").filter(regex="^(?!classes)")

    def to_frame(self) -> pd.DataFrame:
        """Every set with its outcome."""
        return _table(self.found.outcomes)

    def _title(self) -> str:
        return f"stress of {self.model.name}"

    def _facts(self) -> list[str]:
        return [verdict_line(self.found).removesuffix(".")]

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Sets": self.sizes, "What breaks it": self.minimal}


def _table(sets: tuple[SetOutcome, ...]) -> pd.DataFrame:
    return table(set_data(one) | {"failures": one.label} for one in sets)


def stress(
    model: ModelReference | None = None,
    plan: PlanReference | None = None,
    *,
    at_once: int = 2,
    hours: HourChoice = "peak",
    services: bool = False,
    only: Text = (),
) -> Stress:
    """Find the sets of failures that what exists in a model, or a plan, does not survive.

    Every set of up to so many failures of components at the same time is settled, by proof that it
    runs the same course as another one, or by simulation.

    Parameters
    ----------
    model, plan
        As for `simulate`.
    at_once
        Most failures at the same time.
    hours
        Hours of the week at which failures begin: ``"peak"``, ``"worst"`` or ``"all"``.
    services
        Whether the loss of whole services counts as a failure.
    only
        Patterns of names of failures: ``"region-*"``.

    Raises
    ------
    InputError
        If the model, the plan or a name is wrong, they do not fit, or there are too many sets.

    Examples
    --------
    >>> stress("tiny", only="region-*").smallest
    (('region-west',), ('region-east',))
    """
    check_least(at_once=at_once)
    if hours not in ("peak", "worst", "all"):
        raise InputError.single("hours", f"expected peak, worst or all, not {hours!r}")
    source = None if plan is None else plan_source(plan)
    found = subject(model if plan is None else model_of(plan, model), source, remedy=REMEDY)
    loaded = as_planner_model(found.loaded)
    sets = FailureSets.of(loaded.model, services, texts(only))
    return Stress(loaded, found.fleet, search.stress(found.fleet, sets, at_once, hours))
