"""Appraisal of a build: present values, rates of return, ratios, total cost of ownership."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase
from planner.finance.cashflow import CashFlow, Floats, Position, asset_flows, cash_flow
from planner.finance.cashflow import running_by_year as yearly
from planner.laws.assets import Asset
from planner.laws.returns import (
    ReturnRate,
    benefit_cost_ratio,
    capital_recovery,
    equivalent_annual_cost,
    internal_rate_of_return,
    modified_internal_rate,
    net_present_value,
    payback_years,
    return_on_investment,
)


@dataclass(frozen=True)
class Returns:
    """What the cash flows of a build come to; None where a measure has no meaning.

    Benefits are losses avoided and other income, costs all else less what is sold and saved, both
    after tax, so that the net present value is the present value of benefits less that of costs.
    Losses that grow count against the benefits.

    Parameters
    ----------
    npv_usd
        Net present value.
    present_benefits_usd, present_costs_usd
        What it is the difference of.
    irr
        Internal rate of return, with the reason where there is not exactly one.
    mirr
        Modified internal rate of return: costs financed and income reinvested at the cost of
        capital.
    payback_years, discounted_payback_years
        Years until the cash flows have paid back the investment, without and with interest; 0 where
        nothing is ever outstanding.
    benefit_cost_ratio
        Present benefits over present costs; None where costs come to nothing or less.
    roi
        Return on investment: present benefits less present costs, over present costs.
    undiscounted_roi
        The same without interest.
    """

    npv_usd: float
    present_benefits_usd: float
    present_costs_usd: float
    irr: ReturnRate
    mirr: float | None
    payback_years: float | None
    discounted_payback_years: float | None
    benefit_cost_ratio: float | None
    roi: float | None
    undiscounted_roi: float | None


@dataclass(frozen=True)
class Ownership:
    """What owning a build costs over the horizon, before tax and without what failures cost.

    Equipment that exists is paid for; what is bought counts, what replaces that at the end of its
    life where its age is known, and all that runs.

    Parameters
    ----------
    present_usd
        Total cost of ownership: present value of purchases, replacements and running costs less
        what is left at the horizon.
    usd_per_year
        The same in equal amounts a year (equivalent annual cost).
    usd_per_gpu
        Total cost of ownership over the GPUs in the end.
    usd_per_million_requests
        Total cost of ownership over the present value of the requests served (levelised); requests
        grow with demand, running costs do not.
    """

    present_usd: float
    usd_per_year: float
    usd_per_gpu: float | None
    usd_per_million_requests: float | None


@dataclass(frozen=True)
class BuildAppraisal:
    """Money side of a build.

    Parameters
    ----------
    capital_usd
        Paid today, less the salvage of retirements.
    owning_usd_per_year
        Capex and opex, annualised: capital spread over the life of each purchase, replacement of
        existing equipment, and running costs, at today's prices; the objective of the optimisation
        without failure losses.
    cash_flow
        By year, compared with the base; None for the base itself.
    returns
        Measures of return; None for the base itself.
    ownership
        Total cost of ownership.
    """

    position: Position
    capital_usd: float
    owning_usd_per_year: float
    cash_flow: CashFlow | None
    returns: Returns | None
    ownership: Ownership


def appraise(
    base: Position,
    build: Position,
    assumptions: Assumptions,
    other_usd: Floats | None = None,
) -> BuildAppraisal:
    """Value a build against the base that would be kept without it.

    Parameters
    ----------
    other_usd
        Other flows by year, shape (N + 1,).
    """
    flows = None if build is base else cash_flow(base, build, assumptions, other_usd)
    return BuildAppraisal(
        build,
        capital_usd(build, assumptions),
        owning_usd_per_year(build, assumptions),
        flows,
        None if flows is None else returns(flows, assumptions.discount_rate, assumptions.tax_rate),
        ownership(build, assumptions),
    )


def capital_usd(build: Position, assumptions: Assumptions) -> float:
    """Paid today, less what retirements earn."""
    return sum(line.usd * assumptions.price_factor(line.category) for line in build.purchases)


def owning_usd_per_year(build: Position, assumptions: Assumptions) -> float:
    """Annualised capital and running cost at today's prices, as the programme counts them."""
    rate = assumptions.discount_rate
    factor = assumptions.price_factor
    return (
        sum(
            line.usd * factor(line.category) * capital_recovery(rate, line.life_years)
            for line in build.purchases
        )
        + sum(replaced_usd_per_year(line, assumptions) for line in build.held)
        + sum(line.usd_per_year * factor(line.driver) for line in build.running)
    )


def replaced_usd_per_year(line: Purchase, assumptions: Assumptions) -> float:
    """Equal yearly payments for replacements of existing equipment, as in the optimisation."""
    asset = Asset(
        line.usd_each,
        line.life_years,
        salvage_usd=line.salvage_usd_each,
        age_years=line.age_years,
    )
    unit_usd = asset.replaced_usd_per_year(assumptions.discount_rate)
    return line.quantity * unit_usd * assumptions.price_factor(line.category)


def returns(flows: CashFlow, rate: float, tax_rate: float) -> Returns:
    """Returns of cash flows.

    Raises
    ------
    ValueError
        If the rate is not above −1, the horizon is zero or a flow is not a finite number.
    """
    net = flows.net
    benefits = (1 - tax_rate) * np.sum(
        [*flows.avoided.values(), np.maximum(flows.other_usd, 0.0)], axis=0
    )
    costs = costs_after_tax(flows, tax_rate)
    any_flow = bool(net.any())
    return Returns(
        npv_usd=net_present_value(rate, net),
        present_benefits_usd=net_present_value(rate, benefits),
        present_costs_usd=net_present_value(rate, costs),
        irr=internal_rate_of_return(net),
        mirr=modified_internal_rate(net, rate, rate),
        payback_years=payback_years(net) if any_flow else None,
        discounted_payback_years=payback_years(net, rate) if any_flow else None,
        benefit_cost_ratio=benefit_cost_ratio(benefits, costs, rate),
        roi=return_on_investment(benefits, costs, rate),
        undiscounted_roi=return_on_investment(benefits, costs, 0.0),
    )


def costs_after_tax(flows: CashFlow, tax_rate: float) -> Floats:
    """Costs by year less what is sold and saved, after the tax that they save, shape (N + 1,).

    Added up on their own: benefits less the net flow would leave rounding where nothing is spent.
    """
    yearly_costs = np.sum([*flows.running.values(), np.minimum(flows.other_usd, 0.0)], axis=0)
    deductible = flows.salvage - flows.book_value - flows.depreciation + yearly_costs
    costs: Floats = tax_rate * deductible - (flows.capital + flows.salvage + yearly_costs)
    return costs


def ownership(build: Position, assumptions: Assumptions) -> Ownership:
    """Total cost of ownership of a build over the horizon."""
    years, rate = assumptions.horizon_years, assumptions.discount_rate
    cost = np.sum([np.zeros(years + 1), *yearly(build.running, assumptions).values()], axis=0)
    for purchase in (*build.purchases, *build.held):
        asset = asset_flows(purchase, assumptions)
        cost = cost + asset.capital - (asset.proceeds - asset.inherited)
    present = net_present_value(rate, cost)
    growth = 1 + assumptions.demand_growth_per_year
    index = np.concatenate([[0.0], growth ** np.arange(1, years + 1)])
    millions = net_present_value(rate, build.requests_per_year / 1e6 * index)
    return Ownership(
        present,
        equivalent_annual_cost(cost, rate),
        present / build.gpus if build.gpus else None,
        present / millions if millions else None,
    )
