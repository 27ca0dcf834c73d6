"""Prices and rates that the lines of builds follow, each an input of the workbook."""

from __future__ import annotations

from collections.abc import Iterable

from planner.finance.builds import CATEGORIES, RUNNING, PricedItem, Purchase, Rate, Running
from planner.finance.cashflow import Position
from planner.infrastructure.prices import PARTS

#: What has a price of its own, not one for each asset.
KINDS = (*PARTS, "cooling")


def item_of(line: Purchase) -> PricedItem:
    """What has the price of a purchase; a piece that is sold has one, but no life ahead."""
    if line.priced is not None:
        return line.priced
    sold = line.quantity < 0
    named = line.item if line.category in KINDS else f"{line.item} {line.asset}"
    name, left = (f"{line.item}, sold", 0.0) if sold else (named, line.salvage_usd_each)
    return PricedItem(line.category, name, line.usd_each, line.life_years, left)


def price_of(line: Running, build: str) -> PricedItem | Rate:
    """What a running cost follows; an amount of a build is a rate of its own."""
    if line.price is not None:
        return line.price
    return Rate(line.category, f"{line.asset} ({build})", "USD per year", line.usd_per_year)


def items_of(positions: Iterable[Position]) -> tuple[PricedItem, ...]:
    """All priced items, each once, by category."""
    found: dict[PricedItem, None] = {}
    for position in positions:
        found |= dict.fromkeys(map(item_of, (*position.purchases, *position.held)))
        prices = (line.price for line in position.running)
        found |= dict.fromkeys(price for price in prices if isinstance(price, PricedItem))
    return tuple(sorted(found, key=lambda item: CATEGORIES.index(item.category)))


def rates_of(positions: Iterable[Position]) -> tuple[Rate, ...]:
    """All yearly rates, each once, by category."""
    order = categories(positions)
    prices = (price_of(line, one.name) for one in positions for line in one.running)
    found = dict.fromkeys(price for price in prices if isinstance(price, Rate))
    return tuple(sorted(found, key=lambda rate: order.index(rate.category)))


def categories(positions: Iterable[Position]) -> tuple[str, ...]:
    """Categories of running cost that any build has, the usual ones first."""
    found = {line.category for position in positions for line in position.running}
    return (*(name for name in RUNNING if name in found), *sorted(found - set(RUNNING)))
