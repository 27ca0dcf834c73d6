"""Changes of values of the model, one by one and in sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from planner.infrastructure.changes import changed, setting, value_at
from planner.infrastructure.entities import Model
from planner.infrastructure.fields import Entity
from planner.optimization.formulation.problem import Key
from planner.optimization.infeasibility.elastic import Kind, RelaxableValue, ValueColumn, round_up


@dataclass(frozen=True)
class Relaxation:
    """A change of one value of the model.

    Parameters
    ----------
    kind
        ``limit`` if one is raised, ``requirement`` if one is lowered.
    family, subject
        What is changed, of what; where no value of the model is, the family of the rows.
    scenario
        Scenario that needs it most, empty for normal operation and purchases.
    path, value, before
        Path in the model, new value and present value; no path where only rows of the programme
        are relaxed.
    usd
        Capital cost at the prices of the model; None where it has none.
    usd_per_year
        Annualised cost; for a requirement the expected value of the requests lost.
    """

    kind: Kind
    family: str
    subject: str
    scenario: str
    path: str
    value: Any
    before: Any
    amount: float
    unit: str
    usd: float | None = None
    usd_per_year: float | None = None

    @property
    def override(self) -> str:
        """The change as ``--set`` takes it, empty without a path."""
        return setting(self.path, self.value) if self.path else ""

    @property
    def option(self) -> str:
        """The change as an option of a command, empty where there is none."""
        if self.path:
            return f"--set {self.override}"
        return f"--except {self.subject}" if self.family == "scenario" else ""


@dataclass(frozen=True)
class RelaxationSet:
    """Relaxations with which there is a plan.

    Parameters
    ----------
    name
        ``limits``, ``requirements``, ``mixture`` or ``alternative``.
    relaxations
        What changes.
    verified
        Whether the programme of the changed model was solved and has a plan.
    minimal
        Whether every one of them is needed.
    cheapest
        Whether no other set is cheaper, at the prices of the model where it has some.
    plan_usd_per_year, plan_capital_usd
        Annualised and capital cost of the plan, at an optimality gap of 0.1 %; None if time ran
        out.
    survives
        Whether the plan also survives its simulation, tightened where it did not at first; None if
        it was not simulated.
    failed
        Scenarios that the plan does not survive.
    left_out
        Failures at hours that are not planned for that were simulated too; None where there are too
        many.
    """

    name: str
    relaxations: tuple[Relaxation, ...]
    verified: bool
    minimal: bool
    cheapest: bool = False
    plan_usd_per_year: float | None = None
    plan_capital_usd: float | None = None
    survives: bool | None = None
    failed: tuple[str, ...] = ()
    left_out: int | None = 0

    @property
    def overrides(self) -> tuple[str, ...]:
        """The set as ``--set`` options; several changes of one list are one."""
        last = {change.path: change.override for change in self.relaxations if change.path}
        return tuple(last.values())

    @property
    def options(self) -> tuple[str, ...]:
        """The set as options of a command; several changes of one list are one."""
        last = {
            change.path or change.option: change.option
            for change in self.relaxations
            if change.option
        }
        return tuple(last.values())


@dataclass
class Step:
    """A change of a relaxable value.

    Parameters
    ----------
    amount
        By how much, in its unit.
    scenario
        Scenario that needs it most.
    choice
        Index among the choices of the value, where it is searched.
    rows
        Constraint groups that are relaxed, where the value has no path.
    """

    value: RelaxableValue
    amount: float
    scenario: str
    choice: int | None = None
    rows: tuple[Key, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the changed value."""
        return (self.value.path, self.value.family, self.value.subject)

    def apply(self, model: Model) -> Model:
        """The model with this step taken."""
        if not self.value.path:
            return model
        if self.choice is None:
            new = self.value.new(model, self.amount)
        else:
            new = self.value.choices[self.choice]
        return changed(model, {self.value.path: new})


@dataclass
class ChangedModel:
    """A model and the steps taken from it."""

    base: Model
    steps: list[Step] = field(default_factory=list)

    def model(self) -> Model:
        """The model with all steps taken."""
        model = self.base
        for step in self.steps:
            model = step.apply(model)
        return model

    def loosened(self) -> dict[Key, float]:
        """Constraint groups that are relaxed without a value of the model, and by how much."""
        return {
            key: round_up(step.amount)
            for step in self.steps
            if not step.value.path
            for key in step.rows
        }

    def dropped(self) -> frozenset[str]:
        """Failures that are removed without a value of the model."""
        return frozenset(
            step.value.subject
            for step in self.steps
            if step.value.family == "scenario" and not step.value.path
        )

    def without(self, key: tuple[str, str, str]) -> ChangedModel:
        """The same without the steps of a key."""
        return ChangedModel(self.base, [step for step in self.steps if step.key != key])

    def at_most(self) -> ChangedModel:
        """The same with every searched value at its last choice."""
        steps = [
            step if step.choice is None else replace(step, choice=len(step.value.choices) - 1)
            for step in self.steps
        ]
        return ChangedModel(self.base, steps)

    def keys(self) -> list[tuple[str, str, str]]:
        """Identities of the changed values."""
        return list(dict.fromkeys(step.key for step in self.steps))

    def take(self, column: ValueColumn, amount: float, scenario: str) -> None:
        """Add the step that an elastic solve took."""
        value = column.value
        choice = len(value.choices) - 1 if value.choices else None
        rows = (row.key for row, _, _ in column.uses.values())
        self.steps.append(Step(value, amount, scenario, choice, tuple(dict.fromkeys(rows))))

    def relaxations(self) -> tuple[Relaxation, ...]:
        """The steps as changes of values."""
        found, model = [], self.base
        for key in self.keys():
            steps = [step for step in self.steps if step.key == key]
            path, before, after = steps[0].value.path, None, None
            if path:
                before = value_at(model, path)
                for step in steps:
                    model = step.apply(model)
                after = value_at(model, path)
            found.append(_relaxation(steps, before, after))
        return tuple(found)


def _relaxation(steps: list[Step], before: Any, after: Any) -> Relaxation:
    """Several steps of one value as one change."""
    value, amount = steps[0].value, sum(step.amount for step in steps)
    if _is_number(before) and _is_number(after):
        amount = float(f"{abs(after - before):.9g}")
    elif value.path:
        amount = 1.0
    yearly = None if value.usd_per_year is None else value.usd_per_year * amount
    if value.family == "emergency_budget":
        yearly = None  # a budget is not spent every year
    if value.family == "least_served":
        yearly = None  # follows from the plan
    return Relaxation(
        kind=value.kind,
        family=value.family,
        subject=value.subject,
        scenario=next((step.scenario for step in steps if step.scenario), ""),
        path=value.path,
        value=plain(after),
        before=plain(before),
        amount=amount,
        unit=value.unit,
        usd=None if value.usd is None else value.usd * amount,
        usd_per_year=yearly,
    )


def plain(value: Any) -> Any:
    """A value of a model as JSON has it."""
    if isinstance(value, Entity):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
