"""Models: loading, sections, what can fail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from planner.api.notebook import Shown, frame
from planner.errors import InputError
from planner.infrastructure import loading
from planner.infrastructure.customers import Tier, Zone
from planner.infrastructure.entities import (
    Cluster,
    CoolingUnit,
    Feed,
    GpuType,
    Measure,
    Offer,
    Plant,
    Region,
    Service,
    SimulationSettings,
)
from planner.infrastructure.failures import Generators, ServedRule, Severity
from planner.infrastructure.field_types import SECTIONS
from planner.infrastructure.horizon import Horizon
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.operations import Operations
from planner.infrastructure.policies import Finance, Policies
from planner.infrastructure.source import nearest
from planner.selection import Selection, Wanted, parse_sets, select

Text = str | Iterable[str]
ModelReference = str | Path | LoadedModel


class Section[Value]:
    """A section of a loaded model as an attribute: ``model.finance`` is ``model.model.finance``."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name

    def __get__(self, loaded: LoadedModel, owner: type[Any] | None = None) -> Value:
        value: Value = getattr(loaded.model, self.name)
        return value


class ModelTables:
    """Sections of a model as tables, one row for each entry: ``model.tables.clusters``."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def __getattr__(self, section: str) -> pd.DataFrame:
        if section not in SECTIONS:
            hint = nearest(section, SECTIONS)
            expected = f"expected one of {', '.join(SECTIONS)}"
            raise AttributeError(f"a model has no table `{section}`; {expected}{hint}")
        entries = getattr(self._loaded.model, section)
        rows = {name: entry.model_dump(exclude={"name"}) for name, entry in entries.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")

    def __dir__(self) -> list[str]:
        return list(SECTIONS)


@dataclass(frozen=True, repr=False)
class PlannerModel(Shown, LoadedModel):
    """A loaded model: its sections as attributes, ``tables``, ``name``, ``sha256``, ``overrides``.

    Examples
    --------
    >>> model = load_model("tiny")
    >>> model.clusters["west-gpus"].existing_gpus, model.finance.discount_rate
    (1000, 0.08)
    >>> model.tables.clusters["existing_gpus"].sum()
    np.int64(1400)
    """

    description = Section[str]()
    regions = Section[Mapping[str, Region]]()
    gpus = Section[Mapping[str, GpuType]]()
    clusters = Section[Mapping[str, Cluster]]()
    cooling_units = Section[Mapping[str, CoolingUnit]]()
    plants = Section[Mapping[str, Plant]]()
    feeds = Section[Mapping[str, Feed]]()
    services = Section[Mapping[str, Service]]()
    tiers = Section[Mapping[str, Tier]]()
    zones = Section[Mapping[str, Zone]]()
    shapes = Section[Mapping[str, tuple[float, ...]]]()
    climates = Section[Mapping[str, tuple[float, ...]]]()
    offers = Section[Mapping[str, Offer]]()
    measures = Section[Mapping[str, Measure]]()
    operations = Section[Operations]()
    finance = Section[Finance]()
    policies = Section[Policies]()
    standard = Section[Mapping[Severity, tuple[ServedRule, ...]]]()
    generators = Section[Generators]()
    simulation = Section[SimulationSettings]()
    horizon = Section[Horizon | None]()

    @property
    def tables(self) -> ModelTables:
        """Sections as tables."""
        return ModelTables(self)

    scenarios = frame(
        "What can fail: severity, times a year and number of events of every scenario.",
        lambda self: self.select(),
    )

    def select(self, scenarios: Text = (), only: Text = ()) -> pd.DataFrame:
        """Scenarios of some sets as a table.

        Examples
        --------
        >>> load_model("tiny").select("n-1").index.tolist()[:2]
        ['unit-west-chillers', 'unit-east-chillers']
        """
        rows = [
            (scenario.name, scenario.severity, scenario.frequency_per_year, len(scenario.events))
            for scenario in selection(self, scenarios, only).scenarios
        ]
        columns = ["name", "severity", "frequency_per_year", "events"]
        return pd.DataFrame(rows, columns=columns).set_index("name")

    def _title(self) -> str:
        return f"model {self.name}"

    def _facts(self) -> list[str]:
        counts = ((len(getattr(self.model, name)), name) for name in SECTIONS)
        return [
            ", ".join(
                f"{count} {name.removesuffix('s') if count == 1 else name}"
                for count, name in counts
                if count
            )
        ]

    def _sentences(self) -> list[str]:
        return [text for text in (self.model.description, *self._facts()) if text]


def load_model(
    reference: str | Path,
    overrides: Mapping[str, object] | Iterable[str] = (),
    extends_outside: bool = False,
) -> PlannerModel:
    """Load and validate a model.

    Parameters
    ----------
    reference
        Path of a model file, or the name of a shipped model.
    overrides
        Values to change by path, ``{"finance.discount_rate": 0.1}``, or texts ``path=value``.
    extends_outside
        Whether it may extend files that are not below its folder.

    Raises
    ------
    InputError
        With every problem of the file, each with line and column.

    Examples
    --------
    >>> load_model("tiny")
    <model tiny: 2 regions, 1 gpu, 2 clusters, 3 cooling_units, 3 plants, 2 tiers, 2 zones, 1 offer>
    >>> load_model("tiny", {"finance.discount_rate": 0.1}).finance.discount_rate
    0.1
    """
    with loading.extending_outside(extends_outside):
        return as_planner_model(loading.load_model(reference, settings(overrides)))


def settings(overrides: Mapping[str, object] | Iterable[str]) -> tuple[str, ...]:
    """Changes of a model as ``--set`` takes them.

    >>> settings({"finance.discount_rate": 0.1}), settings("finance.discount_rate=0.1")
    (('finance.discount_rate=0.1',), ('finance.discount_rate=0.1',))
    """
    if isinstance(overrides, Mapping):
        return tuple(f"{path}={_written(value)}" for path, value in overrides.items())
    return texts(overrides)


def _written(value: object) -> str:
    """A value as ``--set`` reads it.

    >>> _written(np.int64(5)), _written(np.array([0.5, 1.0]))
    ('5', '[0.5, 1.0]')
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InputError.single("overrides", f"{value!r} is not a value: {error}") from error


def as_planner_model(model: ModelReference) -> PlannerModel:
    """A model from whatever names it."""
    if isinstance(model, PlannerModel):
        return model
    return PlannerModel(**vars(model)) if isinstance(model, LoadedModel) else load_model(model)


def texts(text: Text) -> tuple[str, ...]:
    """One text or several as a tuple."""
    return (text,) if isinstance(text, str) else tuple(text)


def selection(
    loaded: LoadedModel, scenarios: Text = (), only: Text = (), usual: Wanted | None = None
) -> Selection:
    """Select scenarios.

    Parameters
    ----------
    scenarios, only
        Sets and patterns of names; none means those of `usual`.
    usual
        Scenarios without sets and patterns; None for those of the model.

    Raises
    ------
    InputError
        If a set or pattern is unknown, or nothing is left.
    """
    sets, patterns = texts(scenarios), texts(only)
    wanted = usual or Wanted()
    if sets or patterns:
        wanted = Wanted(parse_sets(sets) if sets else wanted.sets, patterns)
    found = select(loaded.model, wanted)
    if not found.scenarios:
        raise InputError.single(loaded.name, "no scenarios: nothing can fail")
    return found
