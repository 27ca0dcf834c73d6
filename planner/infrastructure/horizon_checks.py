"""Checks of a horizon: what cannot be, or never could be kept, whatever is ordered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon, courses, month_number, month_text
from planner.infrastructure.source import Document
from planner.laws.traffic import serving_rps


def check_horizon(model: Model, document: Document) -> None:
    """Check the horizon of a model, if it has one."""
    horizon = model.horizon
    if horizon is None:
        return
    for path, course in courses(horizon):
        if course.by_period and course.per_year:
            document.complain(("horizon", *path), "has both a rate and a table; expected one")
        if course.per_year < -1:
            message = f"{course.per_year:g} is less than nothing left; expected at least -1"
            document.complain(("horizon", *path, "per_year"), message)
    _check_paths(horizon, document)
    _check_times(model, horizon, document)
    _check_first_orders(model, horizon, document)
    _check_power(horizon, document)
    if all(one.per_year >= -1 for path, one in courses(horizon) if path[0] == "prices"):
        _check_budgets(model, horizon, document)
    if model.policies.risk.kind != "expected" and model.policies.risk.beta:
        message = "a roadmap plans for expected costs; expected `expected` beside a horizon"
        document.complain(("policies", "risk", "kind"), message)


def _check_paths(horizon: Horizon, document: Document) -> None:
    total = sum(path.probability for path in horizon.paths.values())
    if horizon.paths and abs(total - 1) > 1e-6:
        message = f"the probabilities add up to {total:g}; expected 1"
        document.complain(("horizon", "paths"), message)
    for name, path in horizon.paths.items():
        where = ("horizon", "paths", name)
        if path.from_period > horizon.periods:
            message = f"period {path.from_period} is beyond the {horizon.periods} of the horizon"
            document.complain((*where, "from_period"), message)
        seen, other = [name], path.follows or ""
        while other in horizon.paths and other not in seen:
            seen.append(other)
            other = horizon.paths[other].follows or ""
        if other in seen:
            document.complain((*where, "follows"), "is circular: " + " → ".join([*seen, other]))
        parent = horizon.paths.get(path.follows or "")
        if parent is not None and parent.from_period >= path.from_period:
            message = (
                f"period {path.from_period} is not after period {parent.from_period}, from which "
                f"`{path.follows}` itself differs"
            )
            document.complain((*where, "from_period"), message)


def _purchases(model: Model) -> Iterator[tuple[str, str, str]]:
    """What can be ordered: kind, entity and type."""
    for name, cluster in model.clusters.items():
        room = cluster.max_gpus >= cluster.existing_gpus + cluster.block_gpus
        if room and name not in model.policies.forbidden.gpus:
            yield "gpus", name, cluster.gpu
            yield "halls", name, ""
    for name, plant in model.plants.items():
        for unit in plant.options if plant.max_added else ():
            if not {name, unit} & set(model.policies.forbidden.cooling):
                yield "cooling", name, unit
    yield from (("regions", name, "") for name, r in model.regions.items() if r.candidate)
    yield from (("measures", name, "") for name in model.measures)
    yield from (("emergency", name, name) for name in model.offers)


def _check_times(model: Model, horizon: Horizon, document: Document) -> None:
    """Lead times end within the horizon."""
    terms, said = horizon.order_months, set()
    for kind, entity, type_name in _purchases(model):
        months = horizon.lead_months(kind, entity if kind != "halls" else "", type_name)
        if horizon.periods_of(months) < horizon.periods:
            continue
        if kind != "halls" and entity in terms.entities:
            where: tuple[str, ...] = ("entities", entity)
        else:
            where = ("types", type_name) if type_name in terms.types else (kind,)
        if where not in said:
            said.add(where)
            message = (
                f"{months:g} months: what is ordered at the start is not in service by the last "
                f"period; expected at most {(horizon.periods - 1) * horizon.months}"
            )
            document.complain(("horizon", "order_months", *where), message)


def _check_first_orders(model: Model, horizon: Horizon, document: Document) -> None:
    """Nothing exists before it can be ordered, and what is ordered then is of use."""
    there: dict[str, list[str]] = {}
    for name, cluster in model.clusters.items():
        if cluster.existing_gpus:
            there.setdefault(cluster.gpu, []).append(f"{cluster.existing_gpus:,} in {name}")
    for name, plant in model.plants.items():
        for unit, count in plant.existing.items():
            if count:
                there.setdefault(unit, []).append(f"{count} in {name}")
    for name, offer in model.offers.items():
        if offer.existing_instances:
            there.setdefault(name, []).append(f"{offer.existing_instances} under contract")
    for name, month in horizon.first_order.items():
        where = ("horizon", "first_order", name)
        if month_number(month) > horizon.first_month and name in there:
            listed = ", ".join(there[name])
            message = f"{month} is after the start {horizon.start}, and there are {listed}"
            document.complain(where, message)
        elif horizon.first_period(name) > horizon.periods:
            last = month_text(horizon.month_of(horizon.periods))
            document.complain(where, f"{month} is after the last period, which starts in {last}")
        elif not _arrives(model, horizon, name):
            last = month_text(horizon.month_of(horizon.periods))
            message = f"ordered in {month}, it is not in service by the last period, from {last}"
            document.complain(where, message)


def _arrives(model: Model, horizon: Horizon, name: str) -> bool:
    """Whether any of a type or offer can be in service in time; lead times alone would allow it."""
    terms = [
        horizon.lead_months(kind, entity, type_name)
        for kind, entity, type_name in _purchases(model)
        if name == type_name
    ]
    return not terms or any(
        horizon.periods_of(months) >= horizon.periods
        or horizon.first_period(name, months) + horizon.periods_of(months) <= horizon.periods
        for months in terms
    )


def _check_power(horizon: Horizon, document: Document) -> None:
    seen = set()
    for index, step in enumerate(horizon.power):
        where, key = ("horizon", "power", index), (step.region, step.from_period)
        if step.from_period > horizon.periods:
            message = f"period {step.from_period} is beyond the {horizon.periods} of the horizon"
            document.complain((*where, "from_period"), message)
        if key in seen:
            document.complain(where, f"{key[0]} has another limit from period {key[1]} on")
        seen.add(key)


def _check_budgets(model: Model, horizon: Horizon, document: Document) -> None:
    """Budgets are of years of the horizon, and pay for what today's service needs to go on."""
    years = range(horizon.first_month // 12, (horizon.month_of(horizon.periods + 1) - 1) // 12 + 1)
    for name in horizon.capital_budgets_usd:
        if not re.fullmatch(r"\d{4}", name) or int(name) not in years:
            message = f"expected a year from {years[0]} to {years[-1]}"
            document.complain(("horizon", "capital_budgets_usd", name), message)
    if any(str(year) not in horizon.capital_budgets_usd for year in years):
        years = range(years[0], next(y for y in years if str(y) not in horizon.capital_budgets_usd))
    spent = 0.0
    for year in years:
        spent += horizon.capital_budgets_usd[str(year)]
        period = max(p for p in range(1, horizon.periods + 1) if horizon.month_of(p) // 12 <= year)
        needed, short = least_capital_usd(model, horizon, period)
        if needed > spent * (1 + 1e-9):
            message = (
                f"budgets up to {year} are {spent:,.0f} USD, but {short:,.0f} requests per second "
                f"of today's demand are left without GPUs whose life ends by then, and new ones "
                f"for them cost at least {needed:,.0f} USD"
            )
            document.complain(("horizon", "capital_budgets_usd", str(year)), message)
            return


def lasts(horizon: Horizon, age_years: float | None, life_years: float, period: int) -> bool:
    """Whether the life of what exists is not over at the start of a period."""
    return age_years is None or age_years + (period - 1) * horizon.years < life_years - 1e-9


def remaining_gpus(model: Model, horizon: Horizon, cluster: str, period: int) -> int:
    """Existing GPUs of a cluster whose life is not over by the start of a period."""
    entry = model.clusters[cluster]
    life = model.gpus[entry.gpu].life_years
    return entry.existing_gpus if lasts(horizon, entry.existing_age_years, life, period) else 0


def remaining_units(model: Model, horizon: Horizon, plant: str, unit: str, period: int) -> int:
    """Existing units of a type in a plant whose life is not over by the start of a period."""
    entry, life = model.plants[plant], model.cooling_units[unit].life_years
    kept = lasts(horizon, entry.existing_age_years, life, period)
    return entry.existing.get(unit, 0) if kept else 0


def least_capital_usd(model: Model, horizon: Horizon, period: int) -> tuple[float, float]:
    """Least capital by a period without which today's peak demand cannot be served.

    Returns
    -------
    float, float
        USD for servers at the lowest price so far, and the requests per second they are for.
    """
    left, price = 0.0, float("inf")
    for name, cluster in model.clusters.items():
        gpu = model.gpus[cluster.gpu]
        one = float(serving_rps(1, gpu.rps, cluster.max_utilisation))
        left += one * remaining_gpus(model, horizon, name, period)
        course = horizon.prices.gpus.get(cluster.gpu)
        factors = [
            1.0 if course is None else course.factor(p, p * horizon.years) for p in range(period)
        ]
        price = min(price, gpu.capital_usd * min(factors) / one)
    short = max(0.0, _least_peak_rps(model) - left)
    return short * price if short else 0.0, short


def _least_peak_rps(model: Model) -> float:
    """What the peak demand of all zones is at least: peaks of zones with a shape may not meet."""
    flat = sum(zone.demand_rps for zone in model.zones.values() if zone.shape == "flat")
    shaped = (zone.demand_rps for zone in model.zones.values() if zone.shape != "flat")
    return flat + max(shaped, default=0.0)
