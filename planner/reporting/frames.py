"""Plans, verdicts and simulated minutes as pandas tables, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.laws.traffic import served_fraction
from planner.plan.records import CoolingLine, EmergencyLine, GpuLine, Plan, ScenarioLine
from planner.simulation.cascade import simulate
from planner.simulation.verdict import Verdict

#: Columns of the table of purchases.
PURCHASES = ("kind", "asset", "item", "region", "existing", "bought", "retired", "total")
#: Rows of a table that a notebook shows.
MOST_ROWS = 60


def purchases(plan: Plan, model: Model) -> pd.DataFrame:
    """What a plan has, buys and retires: unit types of plants, clusters, offers, measures.

    Counted in units, GPUs, reserved instances, and 1 or 0 for a measure.
    """
    counted: list[tuple[str, str, str, CoolingLine | GpuLine]]
    counted = [("cooling", line.plant, line.unit, line) for line in plan.cooling]
    counted += [("gpus", line.cluster, line.gpu, line) for line in plan.gpus]
    rows: list[tuple[Any, ...]] = [
        (kind, asset, item, line.region, line.existing, line.added, line.retired, line.total)
        for kind, asset, item, line in counted
    ]
    rows += [
        _reserved(line, model.offers[line.offer].existing_instances) for line in plan.emergency
    ]
    rows += [
        ("measure", line.measure, None, None, 0, int(line.bought), 0, int(line.bought))
        for line in plan.measures
    ]
    frame = pd.DataFrame(rows, columns=list(PURCHASES))
    counts = dict.fromkeys(PURCHASES[4:], "Int64")
    return frame.astype(counts)


def _reserved(line: EmergencyLine, existing: int) -> tuple[Any, ...]:
    total = line.instances_reserved
    added = max(0, total - existing)
    return ("emergency", line.offer, line.instance, None, existing, added, 0, total)


def costs(plan: Plan) -> pd.DataFrame:
    """Cost items of a plan: category, asset, ``capital_usd``, ``usd_per_year``."""
    rows = [item.model_dump() for item in plan.cost.items]
    return pd.DataFrame(rows, columns=["category", "asset", "capital_usd", "usd_per_year"])


def scenarios(lines: Iterable[ScenarioLine]) -> pd.DataFrame:
    """Verdicts by scenario, with the least fraction served of each tier as ``served[tier]``."""
    rows = []
    for line in lines:
        row = line.model_dump(exclude={"served", "first_breach"})
        row["first_breach"] = line.first_breach.text if line.first_breach else None
        row |= {f"served[{tier}]": fraction for tier, fraction in line.served.items()}
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.set_index("name") if rows else frame


def story(verdict: Verdict) -> pd.DataFrame:
    """What happened in a scenario: minute, time of day, text."""
    rows = [vars(line) for line in verdict.story]
    return pd.DataFrame(rows, columns=["minute", "clock", "text"])


def timeline(model: Model, fleet: Fleet, scenario: Scenario) -> pd.DataFrame:
    """A scenario minute by minute.

    Columns: ``demand_rps`` and ``served_rps`` of all tiers, ``served[tier]`` as fractions,
    ``temperature_c[cluster]``, ``heat_mw[cluster]``, ``cooling_mw[cluster]``, ``gpus[cluster]``
    under power, ``waiting`` (requests in the queue), ``emergency_usd`` spent in the minute.
    Requests that succeed on a retry count in the minute in which they do.
    """
    world, history = simulate(model, fleet, (scenario,))
    demand, served = history.demand_rps[:, 0], history.served_rps[:, 0]
    columns: dict[str, Any] = {
        "demand_rps": demand.sum(axis=1),
        "served_rps": served.sum(axis=1),
    }
    for k, tier in enumerate(world.tiers.names):
        columns[f"served[{tier}]"] = served_fraction(
            served[:, k].clip(max=demand[:, k]), demand[:, k]
        )
    records = {
        "temperature_c": history.temperature_c,
        "heat_mw": history.heat_mw,
        "cooling_mw": history.cooling_mw,
        "gpus": history.powered_gpus,
    }
    for name, record in records.items():
        for c, cluster in enumerate(world.clusters.names):
            columns[f"{name}[{cluster}]"] = record[:, 0, c]
    columns["waiting"] = history.waiting[:, 0]
    columns["emergency_usd"] = history.emergency_usd[:, 0]
    return pd.DataFrame(columns, index=pd.RangeIndex(len(demand), name="minute"))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def as_html(title: str, facts: Iterable[str], tables: Mapping[str, pd.DataFrame]) -> str:
    """A heading, sentences and tables as HTML; every text is escaped.

    >>> as_html("a<b", ["1 & 2"], {})
    '<h4>a&lt;b</h4><p>1 &amp; 2</p>'
    """
    parts = [f"<h4>{escape(title)}</h4>", *(f"<p>{escape(fact)}</p>" for fact in facts)]
    for name, table in tables.items():
        html = table.to_html(
            max_rows=MOST_ROWS,
            border=0,
            escape=True,
            na_rep="",
            float_format=_number,
            index=not isinstance(table.index, pd.RangeIndex),
            index_names=False,
        )
        parts.append(f"<h5>{escape(name)}</h5>{html}")
    return "".join(parts)
