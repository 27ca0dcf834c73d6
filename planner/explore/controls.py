"""What can be moved on the page: each control is one or more settings (``--set``) of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms
from planner.scenarios.standard import in_words, subject_of

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
        texts = {"factor": f"*{value / 100:g}", "share": f"{value / 100:g}", "switch": "null"}
        text = texts.get(self.kind, f"{value:g}")
        return () if value == self.start else tuple(f"{path}={text}" for path in self.paths)

    def position(self, text: str) -> float | None:
        """Position that a value of a setting stands for; None if it is none of this control."""
        try:
            value = 0.0 if self.kind == "switch" else float(text.removeprefix("*"))
        except ValueError:
            return None
        value = round(value * 100, 9) if self.kind in ("factor", "share") else value
        there = self.settings(value) == tuple(f"{path}={text}" for path in self.paths)
        return value if there and self.low <= value <= self.high else None


def controls_of(model: Model) -> Iterator[Control]:
    """Controls of a model, group by group; only such as have something to change."""
    for group, label, section, attribute in SCALED:
        entries = getattr(model, section)
        named = [name for name, entry in entries.items() if getattr(entry, attribute)]
        names = named if len(named) < len(entries) else ["*"]
        paths = tuple(f"{section}.{name}.{attribute}" for name in names)
        if named:
            yield Control(group, label, "factor", paths, 100.0, 50.0, 200.0, 5.0)
    rate, paths = round(100 * model.finance.discount_rate, 9), ("finance.discount_rate",)
    yield Control("Prices", "Discount rate", "share", paths, rate, 0.0, max(20.0, rate), 0.5)
    paths = ("finance.emergency_budget_usd",)
    yield Control("Prices", "Emergency budget", "factor", paths, 100.0, 0.0, 300.0, 10.0)
    rules = [(name, i, rule) for name, of in model.standard.items() for i, rule in enumerate(of)]
    for severity, index, rule in rules[:MOST_OBJECTIVES]:
        who = in_words(subject_of(rule.tier, rule.zone))
        label = f"{severity}: {who} from minute {rule.from_minute:.0f}"
        paths = (f"standard.{severity}[{index}].least_served",)
        least = round(100 * rule.least_served, 9)
        yield Control("Standard", label, "share", paths, least, 0.0, 100.0, 0.5)
    for name, offer in list(model.offers.items())[:MOST_OFFERS]:
        paths, start = (f"offers.{name}.lead_time_minutes",), offer.lead_time_minutes
        high = max(120.0, 4 * start)
        yield Control("Lead times", f"{name}, minutes", "count", paths, start, 0.0, high, 5.0)
    yield from _failures(model)


def _failures(model: Model) -> Iterator[Control]:
    """Redundancy, and families of failures: how often, and whether at all."""
    plants = [plant for plant in model.plants.values() if plant.role == "primary"]
    for units in sorted({plant.redundancy for plant in plants}):
        alike = [plant.name for plant in plants if plant.redundancy == units]
        paths = tuple(f"plants.{name}.redundancy" for name in alike)
        label = f"Redundant units where now N+{units}"
        yield Control("Failures", label, "count", paths, units, 0.0, max(4.0, units))
    families = {
        name: terms
        for name in type(model.generators).model_fields
        if isinstance(terms := getattr(model.generators, name), FamilyTerms)
    }
    often = [name for name, terms in families.items() if terms.frequency_per_year]
    if often:
        paths = tuple(f"generators.{name}.frequency_per_year" for name in often)
        label = f"How often: {', '.join(often).replace('_', ' ')}"
        yield Control("Failures", label, "factor", paths, 100.0, 0.0, 400.0, 10.0)
    for name in families:
        yield Control("Failures", name.replace("_", " "), "switch", (f"generators.{name}",), 1.0)


def settings_at(positions: Mapping[Control, float]) -> tuple[str, ...]:
    """Settings of the model for positions of controls."""
    return tuple(text for control, value in positions.items() for text in control.settings(value))


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
        once = all(counts[path] == 1 for path in control.paths)
        value = control.position(text) if text and once and not values else None
        if value is not None:
            found[control] = value
            rest = tuple(text for text in rest if text not in control.settings(value))
    return found, rest
