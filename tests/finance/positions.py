"""Random builds in money, for properties that hold whatever is bought."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES, Driver, Purchase, Running
from planner.finance.cashflow import Losses, Position

#: Lives in years: whole, broken, shorter than a year, longer than any horizon and any schedule.
LIVES = st.sampled_from([0.4, 1.0, 2.5, 3.0, 5.0, 5.5, 7.0, 20.0, 39.0, 5000.0])
DRIVERS: tuple[Driver, ...] = ("servers", "building", "power", "cooling", "electricity", "other")
RATES = st.integers(0, 30).map(lambda percent: percent / 100)
USD = st.integers(0, 1_000_000).map(float)


@st.composite
def purchases(
    draw: st.DrawFn,
    lives: st.SearchStrategy[float] = LIVES,
    salvage: bool = True,
    retirements: bool = True,
) -> Purchase:
    """One line of capital; what is retired earns its salvage."""
    price = draw(USD)
    left = price * draw(st.integers(0, 10)) / 10 if salvage else 0.0
    count = draw(st.integers(1, 20))
    retired = retirements and draw(st.integers(0, 4)) == 0
    return Purchase(
        category=draw(st.sampled_from(CATEGORIES)),
        asset="asset",
        item="item",
        region="region",
        quantity=-count if retired else count,
        usd_each=left if retired else price,
        life_years=draw(lives),
        salvage_usd_each=0.0 if retired else left,
    )


def runnings() -> st.SearchStrategy[Running]:
    """One line of running cost."""
    categories = st.sampled_from(["upkeep", "retainers", "energy", "transport"])
    drivers = st.sampled_from(DRIVERS)
    return st.builds(Running, categories, st.just("asset"), st.just("region"), USD, drivers)


def positions(**of_purchases: Any) -> st.SearchStrategy[Position]:
    """A build; arguments are those of `purchases`."""
    return st.builds(
        Position,
        name=st.just("build"),
        purchases=st.lists(purchases(**of_purchases), max_size=4).map(tuple),
        running=st.lists(runnings(), max_size=4).map(tuple),
        losses=st.builds(Losses, USD, USD, USD),
        gpus=st.integers(0, 10_000),
        requests_per_year=USD,
    )


def bases() -> st.SearchStrategy[Position]:
    """What is kept without a build: it runs and fails, and buys nothing."""
    return st.builds(
        Position,
        name=st.just("base"),
        purchases=st.just(()),
        running=st.lists(runnings(), max_size=4).map(tuple),
        losses=st.builds(Losses, USD, USD, USD),
        gpus=st.integers(0, 10_000),
        requests_per_year=USD,
    )


def assumptions(**fixed: Any) -> st.SearchStrategy[Assumptions]:
    """Rates and factors; named ones are as given."""
    factors = st.sampled_from([0.0, 0.5, 1.0, 2.0])
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "discount_rate": RATES,
        "horizon_years": st.integers(1, 25),
        "tax_rate": RATES,
        "inflation_per_year": RATES,
        "electricity_inflation_per_year": RATES,
        "demand_growth_per_year": RATES,
        "depreciation": st.sampled_from(["straight-line", "macrs"]),
        "gpu_price": factors,
        "cooling_price": factors,
        "failure_rate": factors,
        "outage_value": factors,
        "surge": factors,
    }
    return st.builds(Assumptions, **drawn | {name: st.just(value) for name, value in fixed.items()})
