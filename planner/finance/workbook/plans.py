"""The sheet of a build: what it buys and what it costs to run, from quantities and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.finance.appraisal import owning_usd_per_year, replaced_usd_per_year
from planner.finance.assumptions import Assumptions
from planner.finance.builds import CATEGORIES
from planner.finance.workbook.book import Book, Sheet, cell
from planner.finance.workbook.inputs import Inputs
from planner.finance.workbook.terms import Bought, RunningCost, Terms
from planner.laws.returns import capital_recovery

WIDTHS = (26, 30, 30, 18, 16, 18, 20, 12, 18, 18, 12, 20, 12, 18)
FACTOR = {"servers": "gpu_price", "cooling": "cooling_price", "failures": "failure_rate"}
ELECTRICITY = "electricity"
BOUGHT = (
    "Category",
    "Asset",
    "Item",
    "Region",
    "Quantity, below 0 retired",
    "Price, USD each",
    "Capital, USD",
    "Life, years",
    "Bought in how many years",
    "Left at the end of life, USD",
    "Tax life, years",
    "Capital over life, USD per year",
    "Age, years",
    "Paid once, USD",
)
#: Heads of the same columns for what exists, where they differ.
KEPT = (*BOUGHT[:4], "Quantity, kept", BOUGHT[5], "Price of all anew, USD", *BOUGHT[7:])
RUNNING = (
    "Category",
    "Asset",
    "Region",
    "Price follows",
    "Quantity",
    "Unit",
    "Rate, USD per unit and year",
    "Factor",
    "USD per year",
)


@dataclass(frozen=True)
class AssetCells:
    """Where the terms of a purchase stand; absolute references with the sheet."""

    capital: str
    left: str
    life: str
    first: str
    tax_life: str
    age: str
    paid: str


@dataclass(frozen=True)
class PlanCells:
    """Where the sums of a build stand.

    Parameters
    ----------
    sheet
        The sheet.
    capital
        Capital by category.
    capital_total, owning
        All capital; all cost of a year.
    running_plain, running_electric
        Running cost by category whose price follows inflation, and electricity.
    running_total
        All running cost of a year.
    assets, kept
        Terms of each purchase, and of what exists and is bought again.
    regions
        Ranges of the regions and the capital of purchases.
    """

    sheet: Sheet
    capital: Mapping[str, str]
    capital_total: str
    owning: str
    running_plain: Mapping[str, str]
    running_electric: Mapping[str, str]
    running_total: str
    assets: tuple[AssetCells, ...]
    kept: tuple[AssetCells, ...]
    regions: tuple[str, str]


def write_plan_sheet(
    book: Book,
    terms: Terms,
    assumptions: Assumptions,
    inputs: Inputs,
    categories: Sequence[str],
) -> PlanCells:
    """Write the sheet of a build."""
    sheet = book.sheet(f"Plan {terms.position.name}", WIDTHS)
    sheet.title(
        f"Plan: {terms.position.name}",
        "What it buys beyond what exists and what a year without failures costs, at today's "
        "prices. Quantities on green are those of the plan, all prices come from Assumptions.",
    )
    spent, run = 3, 3 + len(CATEGORIES) + 3
    total = run + len(categories) + 1
    bought = total + 4
    again = bought + max(1, len(terms.bought)) + 3
    lines = again + (len(terms.kept) + 3 if terms.kept else 0)
    assets = _purchases(sheet, bought, BOUGHT, terms.bought, assumptions, inputs)
    kept = _purchases(sheet, again, KEPT, terms.kept, assumptions, inputs) if terms.kept else []
    _running(sheet, lines, terms.lines, assumptions, inputs)
    capital = _capital(sheet, spent, terms, assumptions, (bought + 1, bought + len(assets)))
    plain, electric = _sums(sheet, run, terms, assumptions, categories, lines + 1)
    sheet.text(total + 1, 0, "All cost of a year", "total")
    owning = owning_usd_per_year(terms.position, assumptions)
    formula = f"C{spent + len(CATEGORIES) + 2}+D{total + 1}"
    if kept:
        formula += f"+SUM(L{again + 2}:L{again + 1 + len(kept)})"
    sheet.formula(total + 1, 1, formula, owning, "usd", "total")
    sheet.text(total + 1, 2, "capital spread over each life, and running cost", "note")
    last = bought + max(1, len(terms.bought))
    return PlanCells(
        sheet,
        capital,
        sheet.at(spent + len(CATEGORIES) + 1, 1),
        sheet.at(total + 1, 1),
        plain,
        electric,
        sheet.at(total, 3),
        tuple(assets),
        tuple(kept),
        (
            sheet.absolute((bought + 1, 3), (last, 3)),
            sheet.absolute((bought + 1, 6), (last, 6)),
        ),
    )


def _purchases(
    sheet: Sheet,
    head: int,
    heads: Sequence[str],
    bought: Sequence[Bought],
    assumptions: Assumptions,
    inputs: Inputs,
) -> list[AssetCells]:
    sheet.texts(head, 0, heads[:4], "head")
    sheet.texts(head, 4, heads[4:], "figures")
    if not bought:
        sheet.text(head + 1, 0, "nothing", "note")
    found = []
    for row, one in enumerate(bought, start=head + 1):
        purchase, names = one.purchase, inputs.items[one.item]
        factor = assumptions.price_factor(purchase.category)
        times = f"*{FACTOR[purchase.category]}" if purchase.category in FACTOR else ""
        sheet.texts(row, 0, (purchase.category, purchase.asset, purchase.item, purchase.region))
        sheet.number(row, 4, purchase.quantity, "whole", "plan")
        sheet.formula(row, 5, f"{names.price}{times}", purchase.usd_each * factor, "usd")
        at = [cell(row, column) for column in range(len(heads))]
        usd = purchase.usd * factor
        sheet.formula(row, 6, f"{at[4]}*{at[5]}", usd, "usd")
        sheet.formula(row, 7, names.life, purchase.life_years, "number")
        if purchase.exists:
            first = max(0.0, purchase.life_years - (purchase.age_years or 0.0))
            sheet.formula(row, 8, f"MAX(0,{at[7]}-{at[12]})", first, "number")
        else:
            sheet.number(row, 8, 0, "number")
        if purchase.age_years is not None:
            sheet.number(row, 12, purchase.age_years, "number", "plan")
            sheet.number(row, 13, abs(purchase.quantity) * purchase.paid_usd_each, "usd", "plan")
        left = max(0, purchase.quantity) * purchase.salvage_usd_each * factor
        sheet.formula(row, 9, f"MAX(0,{at[4]})*{names.salvage}{times}", left, "usd")
        tax_life = assumptions.tax_life(purchase.category)
        sheet.formula(row, 10, f"tax_life_{purchase.category}", tax_life, "year")
        yearly = usd * capital_recovery(assumptions.discount_rate, purchase.life_years)
        formula = f"IF(discount_rate=0,1/{at[7]},discount_rate/(1-(1+discount_rate)^-{at[7]}))"
        if purchase.exists:
            yearly = replaced_usd_per_year(purchase, assumptions)
            formula = f"({at[6]}-{at[9]})*{formula}*(1+discount_rate)^-{at[8]}"
        else:
            formula = f"{at[6]}*{formula}"
        sheet.formula(row, 11, formula, yearly, "usd")
        found.append(AssetCells(*(sheet.at(row, column) for column in (6, 9, 7, 8, 10, 12, 13))))
    return found


def _running(
    sheet: Sheet, head: int, lines: Sequence[RunningCost], assumptions: Assumptions, inputs: Inputs
) -> None:
    sheet.texts(head, 0, RUNNING[:4], "head")
    sheet.texts(head, 4, RUNNING[4:], "figures")
    if not lines:
        sheet.text(head + 1, 0, "nothing", "note")
    for row, one in enumerate(lines, start=head + 1):
        running = one.running
        sheet.texts(row, 0, (running.category, running.asset, running.region, running.driver))
        sheet.number(row, 4, one.quantity, "number", "plan")
        sheet.text(row, 5, one.unit)
        if one.item is not None:
            names = inputs.items[one.item]
            rate = one.item.usd_each * (one.item.upkeep_share or 0.0)
            sheet.formula(row, 6, f"{names.price}*{names.upkeep}", rate, "usd")
        elif one.rate is not None:
            sheet.formula(row, 6, inputs.rates[one.rate], one.rate.usd, "usd")
        factor = assumptions.price_factor(running.driver)
        name = FACTOR.get(running.driver)
        if name is None:
            sheet.number(row, 7, 1.0, "factor")
        else:
            sheet.formula(row, 7, name, factor, "factor")
        product = f"{cell(row, 4)}*{cell(row, 6)}*{cell(row, 7)}"
        sheet.formula(row, 8, product, running.usd_per_year * factor, "usd")


def _capital(
    sheet: Sheet, head: int, terms: Terms, assumptions: Assumptions, rows: tuple[int, int]
) -> dict[str, str]:
    """Capital by category."""
    sheet.text(head, 0, "Capital", "head")
    sheet.texts(head, 1, ("Capital, USD", "USD per year over each life"), "figures")
    first, last = rows[0] + 1, max(rows) + 1
    rate = assumptions.discount_rate
    totals = [0.0, 0.0]
    found: dict[str, str] = {}
    for row, category in enumerate(CATEGORIES, start=head + 1):
        sheet.text(row, 0, category)
        mine = [one.purchase for one in terms.bought if one.purchase.category == category]
        factor = assumptions.price_factor(category)
        usd = sum(one.usd * factor for one in mine)
        yearly = sum(one.usd * factor * capital_recovery(rate, one.life_years) for one in mine)
        for column, source, value in ((1, "G", usd), (2, "L", yearly)):
            formula = f"SUMIFS(${source}${first}:${source}${last},$A${first}:$A${last},$A{row + 1})"
            sheet.formula(row, column, formula, value, "usd")
            totals[column - 1] += value
        found[category] = sheet.at(row, 1)
    end = head + len(CATEGORIES) + 1
    sheet.text(end, 0, "All", "total")
    for column, name in ((1, "B"), (2, "C")):
        formula = f"SUM({name}{head + 2}:{name}{end})"
        sheet.formula(end, column, formula, totals[column - 1], "usd", "total")
    return found


def _sums(
    sheet: Sheet,
    head: int,
    terms: Terms,
    assumptions: Assumptions,
    categories: Sequence[str],
    first: int,
) -> tuple[dict[str, str], dict[str, str]]:
    """Running cost by category and by what its price follows."""
    sheet.text(head, 0, "Running cost, USD per year", "head")
    titles = ("price follows inflation", "price follows electricity", "All")
    sheet.texts(head, 1, titles, "figures")
    start, last = first + 1, first + max(1, len(terms.lines))
    amounts = f"$I${start}:$I${last},$A${start}:$A${last}"
    drivers = f"$D${start}:$D${last}"
    plain, electric, totals = {}, {}, [0.0, 0.0]
    for row, category in enumerate(categories, start=head + 1):
        sheet.text(row, 0, category)
        sums = [0.0, 0.0]
        for one in terms.lines:
            if one.running.category == category:
                usd = one.running.usd_per_year * assumptions.price_factor(one.running.driver)
                sums[one.running.driver == ELECTRICITY] += usd
        for column, sign in ((1, "<>"), (2, "")):
            formula = f'SUMIFS({amounts},$A{row + 1},{drivers},"{sign}{ELECTRICITY}")'
            sheet.formula(row, column, formula, sums[column - 1], "usd")
            totals[column - 1] += sums[column - 1]
        sheet.formula(row, 3, f"B{row + 1}+C{row + 1}", sum(sums), "usd")
        plain[category], electric[category] = sheet.at(row, 1), sheet.at(row, 2)
    end = head + len(categories) + 1
    sheet.text(end, 0, "All", "total")
    for column, name, value in ((1, "B", totals[0]), (2, "C", totals[1]), (3, "D", sum(totals))):
        formula = f"SUM({name}{head + 2}:{name}{end})"
        sheet.formula(end, column, formula, value, "usd", "total")
    return plain, electric
