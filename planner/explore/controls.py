"""What can be moved on the page: each control is one or more settings (``--set``) of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from planner.infrastructure.entities import Model
from planner.scenarios.standard import in_words, subject_of

#: Lowest and highest percentage of what the model says that a factor is moved to.
FACTORS = (50.0, 200.0)
#: Most cloud offers and most objectives of the standard with a control of their own.
MOST_OFFERS, MOST_OBJECTIVES = 6, 16
#: Numbers of the model that are multiplied together: group, label, section, attribute.
SCALED = (
    ("Demand", "Demand of all zones", "zones", "demand_rps"),
    ("Prices", "GPUs", "gpus", "capital_usd"),
    ("Prices", "Cooling units", "cooling_units", "capital_usd"),
    ("Prices", "Electricity", "regions", "electricity_usd_per_mwh"),
    ("Prices", "Cloud by the hour", "offers", "usd_per_instance_hour"),
    ("Prices", "Cloud retainers", "offers", "retainer_usd_per_instance_year"),
)


@dataclass(frozen=True)
class Control:
    """A slider or a switch.

    Parameters
    ----------
    kind
        ``factor`` multiplies numbers of the model (percent), ``share`` sets one (percent),
        ``count`` sets a whole number, ``switch`` leaves an entry out when it is off.
    paths
        Values of the model that it changes together.
    start
        Where it changes nothing: 1 for a switch that is on.
    """

    group: str
    label: str
    kind: Literal["factor", "share", "count", "switch"]
    paths: tuple[str, ...]
    start: float
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0

    def settings(self, value: float) -> tuple[str, ...]:
        """Settings of the model for a position; none at the start.

        >>> Control("Demand", "All", "factor", ("zones.*.demand_rps",), 100.0).settings(120.0)
        ('zones.*.demand_rps=*1.2',)
        """
        if value == self.start:
            return ()
        texts = {"factor": f"*{value / 100:g}", "share": f"{value / 100:g}", "switch": "null"}
        text = texts.get(self.kind, f"{value:g}")
        return tuple(f"{path}={text}" for path in self.paths)

    def position(self, text: str) -> float | None:
        """Position that a value of a setting stands for; None if it is none of this control."""
        try:
            value = 0.0 if self.kind == "switch" else float(text.removeprefix("*"))
        except ValueError:
            return None
        value = round(value * 100, 9) if self.kind in ("factor", "share") else value
        there = self.settings(value) == tuple(f"{path}={text}" for path in self.paths)
        return value if there and self.low <= value <= self.high else None


def controls_of(model: Model) -> tuple[Control, ...]:
    """Controls of a model, group by group; only such as have something to change."""
    found = [*_scaled(model), *_finance(model), *_objectives(model), *_lead_times(model)]
    return (*found, *_redundancy(model), *_failures(model))


def _scaled(model: Model) -> Iterator[Control]:
    low, high = FACTORS
    for group, label, section, attribute in SCALED:
        entries = getattr(model, section)
        paths = tuple(
            f"{section}.{name}.{attribute}"
            for name, entry in entries.items()
            if getattr(entry, attribute)
        )
        if len(paths) == len(entries):
            paths = (f"{section}.*.{attribute}",)
        if paths and entries:
            yield Control(group, label, "factor", paths, 100.0, low, high, 5.0)


def _finance(model: Model) -> Iterator[Control]:
    rate = round(100 * model.finance.discount_rate, 9)
    path = "finance.discount_rate"
    yield Control("Prices", "Discount rate", "share", (path,), rate, 0.0, max(20.0, rate), 0.5)
    path = "finance.emergency_budget_usd"
    yield Control("Prices", "Emergency budget", "factor", (path,), 100.0, 0.0, 300.0, 10.0)


def _objectives(model: Model) -> Iterator[Control]:
    rules = (
        (severity, index, rule)
        for severity, listed in model.standard.items()
        for index, rule in enumerate(listed)
    )
    for severity, index, rule in list(rules)[:MOST_OBJECTIVES]:
        who = in_words(subject_of(rule.tier, rule.zone))
        label = f"{severity}: {who} from minute {rule.from_minute:.0f}"
        path = f"standard.{severity}[{index}].least_served"
        least = round(100 * rule.least_served, 9)
        yield Control("Standard", label, "share", (path,), least, 0.0, 100.0, 0.5)


def _lead_times(model: Model) -> Iterator[Control]:
    for name, offer in list(model.offers.items())[:MOST_OFFERS]:
        path, start = f"offers.{name}.lead_time_minutes", offer.lead_time_minutes
        high = max(120.0, 4 * start)
        yield Control("Lead times", f"{name}, minutes", "count", (path,), start, 0.0, high, 5.0)


def _redundancy(model: Model) -> Iterator[Control]:
    primary = {name: plant for name, plant in model.plants.items() if plant.role == "primary"}
    for units in sorted({plant.redundancy for plant in primary.values()}):
        alike = [name for name, plant in primary.items() if plant.redundancy == units]
        paths = tuple(f"plants.{name}.redundancy" for name in alike)
        label = f"Redundant units where now N+{units}"
        yield Control("Failures", label, "count", paths, units, 0.0, max(4.0, units))


def _failures(model: Model) -> Iterator[Control]:
    terms: dict[str, Any] = {
        name: value
        for name in type(model.generators).model_fields
        if hasattr(value := getattr(model.generators, name), "severity")
    }
    often = tuple(
        f"generators.{name}.frequency_per_year"
        for name, family in terms.items()
        if family.frequency_per_year
    )
    if often:
        label = "How often (families that say)"
        yield Control("Failures", label, "factor", often, 100.0, 0.0, 400.0, 10.0)
    for name in terms:
        label = name.replace("_", " ")
        yield Control("Failures", label, "switch", (f"generators.{name}",), 1.0)


def settings_at(controls: Iterable[Control], positions: Mapping[Control, float]) -> tuple[str, ...]:
    """Settings of the model for positions of controls."""
    return tuple(
        setting
        for control in controls
        for setting in control.settings(positions.get(control, control.start))
    )


def positions_of(
    controls: Iterable[Control], settings: Iterable[str]
) -> tuple[dict[Control, float], tuple[str, ...]]:
    """Positions of controls that settings stand for, and the settings that no control has.

    Where a value is set twice the order matters: those settings stay as they are.
    """
    rest = tuple(settings)
    given = [setting.partition("=")[::2] for setting in rest]
    counts, texts = Counter(path for path, _ in given), dict(given)
    found = {}
    for control in controls:
        values = {texts.get(path) for path in control.paths}
        text = values.pop()
        if values or text is None or any(counts[path] > 1 for path in control.paths):
            continue
        value = control.position(text)
        if value is not None:
            found[control] = value
            moved = set(control.settings(value))
            rest = tuple(setting for setting in rest if setting not in moved)
    return found, rest
