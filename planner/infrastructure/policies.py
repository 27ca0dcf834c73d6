"""Money terms and the rules that a plan keeps whatever they cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from planner.infrastructure.failures import AmountByClass
from planner.infrastructure.fields import (
    Amount,
    Change,
    Count,
    Entity,
    Flag,
    Name,
    PositiveCount,
    Share,
    Table,
)

#: Yearly growth of a price or of demand.
Growth = Annotated[float, Strict(), Field(ge=-0.5, le=1, allow_inf_nan=False)]
TaxClass = Literal[3, 5, 7, 10, 15, 20, 39]


class TaxLives(Entity):
    """Years over which accelerated depreciation (MACRS) writes purchases off, by category.

    39 stands for buildings, which are written off in equal parts.
    """

    gpus: TaxClass = 5
    """GPUs with their servers: computers."""
    facility: TaxClass = 15
    """Building, power train and network: improvements."""
    cooling: TaxClass = 15
    """Cooling units."""
    regions: TaxClass = 15
    """Opening of candidate regions."""
    measures: TaxClass = 15
    """Measures."""


class Finance(Entity):
    """Money terms."""

    discount_rate: Annotated[Share, Field(lt=1)] = 0.09
    """Cost of capital, nominal."""
    horizon_years: Annotated[PositiveCount, Field(le=60)] = 10
    """Years over which returns are judged."""
    tax_rate: Annotated[Share, Field(lt=1)] = 0.25
    """Tax on profit; losses are set off against other profit of the company."""
    inflation_per_year: Growth = 0.02
    """Growth of all prices but that of electricity."""
    electricity_inflation_per_year: Growth = 0.03
    """Growth of the price of electricity."""
    demand_growth_per_year: Growth = 0.0
    """Growth of what is lost in failures with demand; the plan itself does not grow."""
    depreciation: Literal["straight-line", "macrs"] = "straight-line"
    """Equal parts over the life of each purchase, or accelerated by `tax_lives`."""
    tax_lives: TaxLives = TaxLives()
    """Years of accelerated depreciation."""
    incident: Name | None = None
    """Recorded incident whose ledger (costs, prevention) is shown beside the plan."""
    emergency_budget_usd: Amount = 0.0
    """Approved emergency spend for one incident."""
    emergency_budget_by_class_usd: AmountByClass = Field(default_factory=dict)
    """The same for severity classes that have an approval of their own."""


class FixedPurchases(Entity):
    """Purchases that are settled: the plan adds exactly these."""

    cooling: Table[Table[Change]] = Field(default_factory=dict)
    """Units added, by plant and unit type; below 0 retired."""
    gpus: Table[Change] = Field(default_factory=dict)
    """GPUs added, by cluster; below 0 retired."""
    emergency: Table[Count] = Field(default_factory=dict)
    """Instances reserved beyond the existing ones, by offer."""
    measures: Table[Flag] = Field(default_factory=dict)
    """Whether a measure is bought."""
    regions: Table[Flag] = Field(default_factory=dict)
    """Whether a candidate region is opened."""


class ForbiddenPurchases(Entity):
    """Purchases that are ruled out."""

    cooling: tuple[Name, ...] = ()
    """Plants or unit types."""
    gpus: tuple[Name, ...] = ()
    """Clusters."""
    emergency: tuple[Name, ...] = ()
    """Offers."""
    measures: tuple[Name, ...] = ()
    """Measures."""


class RiskPolicy(Entity):
    """How failures count in the objective beside their expected cost."""

    kind: Literal["expected", "cvar", "worst"] = "expected"
    """Expected cost alone, or with it the mean of the costliest years (conditional value at risk)
    or the costliest scenario."""
    alpha: Annotated[Share, Field(lt=1)] = 0.95
    """Confidence of `cvar`: 0.95 looks at the costliest 5 % of years."""
    beta: Annotated[Share, Field(lt=1)] = 0.5
    """Weight of `cvar` or `worst` against the expected cost. Below 1: what lesser failures cost
    has to count for something."""


class Policies(Entity):
    """Rules that a plan keeps whatever they cost."""

    surviving_capacity_share: Share = 0.0
    """Share of all GPUs that remains after the loss of any one region."""
    cooling_margin: Share = 0.0
    """Design margin: primary plants carry the design heat and this share of it more, with their k
    largest units lost."""
    emergency_cooling_share: Share = 0.0
    """Share of a cluster's design heat that its emergency plants carry by themselves."""
    critical_tiers: tuple[Name, ...] = ()
    """Tiers whose share of the design heat emergency plants carry, if that is more."""
    independent_emergency_cooling: Flag = False
    """Whether only emergency plants count that share nothing but the region with the primary."""
    spare_block_per_region: Flag = False
    """Whether every region in use serves its normal peak with one GPU block less."""
    throttling_simulated: Flag = False
    """Whether GPUs may throttle before operators react, as the simulation judges, also where the
    standard asks for all service in those minutes; where it does not, that is so anyway."""
    least_regions: Count = 0
    """Least number of regions with GPUs."""
    capital_budget_usd: Amount | None = None
    """Most capital to spend."""
    risk: RiskPolicy = RiskPolicy()
    """How failures count in the objective."""
    fixed: FixedPurchases = FixedPurchases()
    """Purchases that are settled."""
    forbidden: ForbiddenPurchases = ForbiddenPurchases()
    """Purchases that are ruled out."""
