"""Sheets of what builds buy and what they cost to run, as quantities times prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from planner.finance.appraisal import replaced_usd_per_year
from planner.finance.assumptions import Assumptions
from planner.finance.builds import PricedItem, Purchase, Running
from planner.finance.cashflow import Position
from planner.finance.workbook.book import Book, Sheet, cell, columns_of
from planner.finance.workbook.inputs import Inputs
from planner.finance.workbook.terms import item_of, price_of
from planner.laws.returns import capital_recovery

ASSETS, RUNNING = "Assets", "Running costs"
FACTOR = {"servers": "gpu_price", "cooling": "cooling_price", "failures": "failure_rate"}
ELECTRICITY = "electricity"
ASSET_COLUMNS = columns_of(ASSETS)
RUNNING_COLUMNS = columns_of(RUNNING)


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
class AssetRows:
    """Where the purchases of a build stand.

    Parameters
    ----------
    cells
        Terms of each purchase, and of what exists and is bought again.
    capital, annualised
        All capital today; all capital spread over its lives, also that of replacements.
    """

    cells: tuple[AssetCells, ...]
    sheet: Sheet
    first: int
    last: int
    capital: str
    annualised: str

    def capital_of(self, category: str) -> str:
        """Formula of the capital of a category."""
        amounts = self.sheet.absolute((self.first, 5), (self.last, 5))
        categories = self.sheet.absolute((self.first, 1), (self.last, 1))
        return f'SUMIFS({amounts},{categories},"{category}")'


@dataclass(frozen=True)
class RunningRows:
    """Running cost of a build by category, at today's prices.

    Parameters
    ----------
    plain, electric
        Cells by category: what follows inflation, and the price of electricity.
    """

    plain: Mapping[str, str]
    electric: Mapping[str, str]

    @property
    def total(self) -> str:
        """Formula of all of it."""
        return "+".join((*self.plain.values(), *self.electric.values()))


@dataclass
class PlanSheets:
    """The two sheets, filled build by build."""

    assets: Sheet
    running: Sheet
    assumptions: Assumptions
    inputs: Inputs
    asset_row: int = 4
    running_row: int = 4

    @classmethod
    def of(cls, book: Book, assumptions: Assumptions, inputs: Inputs) -> Self:
        """Two empty sheets."""
        assets = _sheet(
            book,
            ASSETS,
            ASSET_COLUMNS,
            "What each build buys and keeps. Quantities, ages and what was paid (green) are those "
            "of the plan; prices and lives come from Assumptions.",
        )
        running = _sheet(
            book,
            RUNNING,
            RUNNING_COLUMNS,
            "A year without failures at today's prices. Quantities (green) are those of the plan; "
            "rates come from Assumptions.",
        )
        return cls(assets, running, assumptions, inputs)

    def purchases(self, build: Position) -> AssetRows:
        """Write what a build buys, and what it keeps and will buy again."""
        sheet, name = self.assets, build.name
        sheet.text(self.asset_row, 0, f"Bought: {name}", "part")
        first = self.asset_row + 1
        if not build.purchases:
            sheet.text(first, 0, "nothing", "note")
        found = [self._purchase(first + n, line) for n, line in enumerate(build.purchases)]
        last = first + max(1, len(build.purchases)) - 1
        kept_first = last + 2
        if build.held:
            sheet.text(last + 1, 0, f"Kept and replaced: {name}", "part")
            found += [self._purchase(kept_first + n, line) for n, line in enumerate(build.held)]
        end = kept_first + len(build.held) if build.held else last + 1
        sheet.text(end, 0, "Capital today, and annualised", "total")
        capital = sum(self._usd(line) for line in build.purchases)
        yearly = sum(self._annualised(line) for line in (*build.purchases, *build.held))
        sheet.formula(end, 5, f"SUM(F{first + 1}:F{last + 1})", capital, "money", "total")
        sheet.formula(end, 10, f"SUM(K{first + 1}:K{end})", yearly, "money", "total")
        self.asset_row = end + 2
        at = (sheet.at(end, 5), sheet.at(end, 10))
        return AssetRows(tuple(found), sheet, first, last, *at)

    def _usd(self, line: Purchase) -> float:
        return line.usd * self.assumptions.price_factor(line.category)

    def _annualised(self, line: Purchase) -> float:
        """Capital in equal yearly payments over the life."""
        if line.exists:
            return replaced_usd_per_year(line, self.assumptions)
        return self._usd(line) * capital_recovery(self.assumptions.discount_rate, line.life_years)

    def _purchase(self, row: int, purchase: Purchase) -> AssetCells:
        sheet, names = self.assets, self.inputs.items[item_of(purchase)]
        factor = self.assumptions.price_factor(purchase.category)
        times = f"*{FACTOR[purchase.category]}" if purchase.category in FACTOR else ""
        label = f"{purchase.asset}: {purchase.item}"
        sheet.texts(row, 0, (label, purchase.category, purchase.region))
        sheet.number(row, 3, purchase.quantity, "whole", "plan")
        sheet.formula(row, 4, f"{names.price}{times}", purchase.usd_each * factor, "usd")
        at = [cell(row, column) for column in range(len(ASSET_COLUMNS))]
        sheet.formula(row, 5, f"{at[3]}*{at[4]}", purchase.usd * factor, "money")
        sheet.formula(row, 6, names.life, purchase.life_years, "number")
        left = max(0, purchase.quantity) * purchase.salvage_usd_each * factor
        sheet.formula(row, 7, f"MAX(0,{at[3]})*{names.salvage}{times}", left, "money")
        if purchase.age_years is not None:
            sheet.number(row, 8, purchase.age_years, "number", "plan")
            paid = abs(purchase.quantity) * purchase.paid_usd_each
            sheet.number(row, 9, paid, "money", "plan")
        spread = f"IF(discount_rate=0,1/{at[6]},discount_rate/(1-(1+discount_rate)^-{at[6]}))"
        formula = f"{at[5]}*{spread}"
        if purchase.exists:
            formula = f"({at[5]}-{at[7]})*{spread}*(1+discount_rate)^-MAX(0,{at[6]}-{at[8]})"
        sheet.formula(row, 10, formula, self._annualised(purchase), "money")
        capital, left_at, life, age, paid_at = (sheet.at(row, c) for c in (5, 7, 6, 8, 9))
        first = f"MAX(0,{life}-{age})" if purchase.exists else "0"
        tax_life = f"tax_life_{purchase.category}"
        return AssetCells(capital, left_at, life, first, tax_life, age, paid_at)

    def costs(self, build: Position, categories: Sequence[str]) -> RunningRows:
        """Write what a build costs to run, line by line and by category."""
        sheet, head = self.running, self.running_row
        sheet.text(head, 0, build.name, "part")
        for row, line in enumerate(build.running, start=head + 1):
            self._cost(row, line, build.name)
        first, last = head + 2, head + 1 + max(1, len(build.running))
        plain: dict[str, str] = {}
        electric: dict[str, str] = {}
        for row, category in enumerate(categories, start=last):
            sheet.texts(row, 0, (f"All {category}", category), "measure")
            for column, found in ((7, plain), (8, electric)):
                letter, driven = "HI"[column - 7], column == 8
                amounts = f"{letter}${first}:{letter}${last}"
                usd = sum(
                    self._cost_usd(line)
                    for line in build.running
                    if line.category == category and (line.driver == ELECTRICITY) == driven
                )
                formula = f"SUMIFS({amounts},$B${first}:$B${last},$B{row + 1})"
                sheet.formula(row, column, formula, usd, "money", "measure")
                found[category] = sheet.at(row, column)
        self.running_row = last + len(categories) + 1
        return RunningRows(plain, electric)

    def _cost_usd(self, line: Running) -> float:
        return line.usd_per_year * self.assumptions.price_factor(line.driver)

    def _cost(self, row: int, line: Running, build: str) -> None:
        sheet, price = self.running, price_of(line, build)
        sheet.texts(row, 0, (line.asset, line.category, line.region))
        kind = "whole" if line.quantity == int(line.quantity) else "number"
        sheet.number(row, 3, line.quantity, kind, "plan")
        sheet.text(row, 4, line.unit)
        if isinstance(price, PricedItem):
            names = self.inputs.items[price]
            rate = price.usd_each * (price.upkeep_share or 0.0)
            sheet.formula(row, 5, f"{names.price}*{names.upkeep}", rate, "usd")
        else:
            sheet.formula(row, 5, self.inputs.rates[price], price.usd, "usd")
        name = FACTOR.get(line.driver)
        if name is None:
            sheet.number(row, 6, 1.0, "factor")
        else:
            sheet.formula(row, 6, name, self.assumptions.price_factor(line.driver), "factor")
        product = f"{cell(row, 3)}*{cell(row, 5)}*{cell(row, 6)}"
        column = 8 if line.driver == ELECTRICITY else 7
        sheet.formula(row, column, product, self._cost_usd(line), "money")


def _sheet(book: Book, name: str, columns: Sequence[tuple[str, str, float]], note: str) -> Sheet:
    sheet = book.sheet(name, [width for *_, width in columns])
    sheet.title(name, note)
    titles = [title for title, *_ in columns]
    sheet.texts(3, 0, titles[:3], "head")
    sheet.texts(3, 3, titles[3:], "figures")
    sheet.freeze(4, 1)
    return sheet
