"""Assumptions of a valuation: rates, horizon, depreciation, factors on prices and failures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from planner.finance.builds import Category, Driver
from planner.infrastructure.policies import Finance, TaxLives


@dataclass(frozen=True)
class Assumptions:
    """Rates and factors of a valuation.

    Parameters
    ----------
    discount_rate
        Cost of capital, nominal, a share per year.
    horizon_years
        Years that count.
    tax_rate
        Tax on profit.
    inflation_per_year, electricity_inflation_per_year
        Growth of prices; amounts are stated at today's prices and paid at those of their year.
    demand_growth_per_year
        Growth of failure losses and of requests served.
    depreciation
        Equal parts over each life, or accelerated.
    tax_lives
        Classes of accelerated depreciation.
    gpu_price, cooling_price
        Factors on the prices of GPUs and cooling units, and on their upkeep.
    failure_rate
        Factor on how often everything fails.
    outage_value
        Factor on the lost-request value.
    surge
        Factor on the surge multipliers of emergency capacity.

    Raises
    ------
    ValueError
        With everything that leaves nothing to work out: a horizon below one year, a discount rate
        not above −1, rates and factors that are not finite numbers.
    """

    discount_rate: float
    horizon_years: int
    tax_rate: float
    inflation_per_year: float = 0.0
    electricity_inflation_per_year: float = 0.0
    demand_growth_per_year: float = 0.0
    depreciation: Literal["straight-line", "macrs"] = "straight-line"
    tax_lives: TaxLives = field(default_factory=TaxLives)
    gpu_price: float = 1.0
    cooling_price: float = 1.0
    failure_rate: float = 1.0
    outage_value: float = 1.0
    surge: float = 1.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} {value:g} is not a finite number"
            for name, value in vars(self).items()
            if isinstance(value, float) and not math.isfinite(value)
        ]
        if self.discount_rate <= -1:
            problems.append(f"discount_rate {self.discount_rate:g} is not above −1")
        if self.horizon_years < 1:
            problems.append(f"horizon_years {self.horizon_years} is less than one year")
        if problems:
            raise ValueError("; ".join(problems))

    @classmethod
    def of(cls, finance: Finance) -> Assumptions:
        """The assumptions of a model."""
        return cls(
            discount_rate=finance.discount_rate,
            horizon_years=finance.horizon_years,
            tax_rate=finance.tax_rate,
            inflation_per_year=finance.inflation_per_year,
            electricity_inflation_per_year=finance.electricity_inflation_per_year,
            demand_growth_per_year=finance.demand_growth_per_year,
            depreciation=finance.depreciation,
            tax_lives=finance.tax_lives,
        )

    def price_factor(self, driver: Driver | Category) -> float:
        """Factor on a price or on a failure rate."""
        factors = {
            "servers": self.gpu_price,
            "cooling": self.cooling_price,
            "failures": self.failure_rate,
        }
        return factors.get(driver, 1.0)

    def tax_life(self, category: Category) -> int:
        """Years of accelerated depreciation of a category."""
        lives = self.tax_lives
        of_parts = {"servers": lives.gpus, "building": lives.facility, "power": lives.facility}
        return of_parts.get(category) or int(getattr(lives, category))

    def price_growth(self, driver: Driver | Category) -> float:
        """Yearly growth of a price."""
        electric = driver == "electricity"
        return self.electricity_inflation_per_year if electric else self.inflation_per_year
