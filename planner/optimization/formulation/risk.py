"""Risk in the objective: what bad years cost beyond the expected cost.

==========  ====================================  =============================
symbol      attribute                             meaning
==========  ====================================  =============================
R[s]        ``RiskVariables.once``                cost of one occurrence, M USD
m[s], p[s]  `times_if_any`, `yearly_probability`  times in a year with any,
                                                  probability of such a year
η           ``RiskVariables.quantile``            value at risk, M USD
z[s]        ``RiskVariables.beyond``              cost beyond it, M USD
w           ``RiskVariables.worst``               costliest scenario, M USD
α, β        ``policies.risk``                     confidence, weight
==========  ====================================  =============================

The loss of a year is m[s]·R[s] with probability p[s]. With the risk measure ρ the objective is
``yearly cost + (1 − β)·Σ_s f[s]·R[s] + β·ρ``, written as the expected cost and a premium
``β·(ρ − Σ_s f[s]·R[s])``. Scenarios that are not in the programme cost nothing there, and the
probabilities need not add up to 1: what is missing is an outcome of 0, so η is not negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.policies import RiskPolicy
from planner.laws.risk import (
    conditional_value_at_risk,
    times_if_any,
    value_at_risk,
    yearly_probability,
)
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.programme import Programme

#: Money in these rows is in millions: solvers keep rows to 1e-6 of whatever unit they are in.
MILLION = 1e6


@dataclass(frozen=True)
class RiskFigures:
    """What failures cost in an average and in a bad year.

    Parameters
    ----------
    policy
        Measure, α and β that the plan was made with.
    expected_usd_per_year
        Mean cost of a year: every occurrence of every scenario.
    cvar_usd_per_year
        Mean cost of the costliest scenario of a year, in the costliest share 1 − α of years.
    worst_usd_per_year
        Cost of the costliest scenario in a year that brings it.
    once_usd
        Cost of one occurrence by scenario.
    """

    policy: RiskPolicy
    expected_usd_per_year: float
    cvar_usd_per_year: float
    worst_usd_per_year: float
    once_usd: Mapping[str, float]

    @property
    def premium_usd_per_year(self) -> float:
        """What the risk policy adds to the expected cost in the objective."""
        measure = {
            "expected": self.expected_usd_per_year,
            "cvar": self.cvar_usd_per_year,
            "worst": self.worst_usd_per_year,
        }[self.policy.kind]
        return self.policy.beta * (measure - self.expected_usd_per_year)


def risk_figures(
    model: Model, frequencies: Mapping[str, float], once_usd: Mapping[str, float]
) -> RiskFigures:
    """Figures of risk from the cost of one occurrence of every scenario, by sorting.

    Parameters
    ----------
    frequencies
        Occurrences per year by scenario.
    once_usd
        Cost of one occurrence by scenario, USD; scenarios not named cost nothing.
    """
    policy = model.policies.risk
    yearly = {name: times_if_any(frequencies[name]) * cost for name, cost in once_usd.items()}
    chances = [yearly_probability(frequencies[name]) for name in yearly]
    return RiskFigures(
        policy,
        sum(frequencies[name] * cost for name, cost in once_usd.items()),
        conditional_value_at_risk(list(yearly.values()), chances, policy.alpha),
        max(yearly.values(), default=0.0),
        dict(once_usd),
    )


def premium(programme: Programme, once: Mapping[str, Expression]) -> Expression:
    """Risk premium in the objective, USD per year; adds the rows that it needs.

    ``R[s] = cost of one occurrence of s``, in millions.

    Parameters
    ----------
    once
        Cost of one occurrence by scenario, USD.
    """
    policy = programme.data.model.policies.risk
    if policy.kind == "expected" or not policy.beta or not once:
        return Expression()
    for scenario, cost in once.items():
        variable = programme.variable("once", scenario)
        programme.risk.once[scenario] = variable
        row = variable == (1 / MILLION) * cost
        programme.define(row, Family.SCENARIO_COST, scenario)
    measure = _tail_cost(programme) if policy.kind == "cvar" else _worst_cost(programme)
    expected = sum_of(
        frequency * programme.risk.once[name] for name, frequency in _frequencies(programme)
    )
    return policy.beta * MILLION * (measure - expected)


def _frequencies(programme: Programme) -> list[tuple[str, float]]:
    return [
        (name, stages[0].timeline.scenario.frequency_per_year)
        for name, stages in programme.data.stages_by_scenario.items()
    ]


def _tail_cost(programme: Programme) -> Expression:
    """Conditional value at risk: ``min η + 1/(1 − α)·Σ_s p[s]·z[s]``, ``z[s] ≥ m[s]·R[s] − η``.

    References
    ----------
    Rockafellar & Uryasev, "Optimization of conditional value-at-risk", *Journal of Risk* 2 (2000),
    pp. 21-41.
    """
    alpha = programme.data.model.policies.risk.alpha
    quantile = programme.variable("quantile")
    programme.risk.quantile = quantile
    terms = [1 * quantile]
    for name, frequency in _frequencies(programme):
        if frequency:
            beyond = programme.variable("beyond", name)
            programme.risk.beyond[name] = beyond
            row = beyond >= times_if_any(frequency) * programme.risk.once[name] - quantile
            programme.define(row, Family.TAIL_COST, name)
            terms.append(yearly_probability(frequency) / (1 - alpha) * beyond)
    return sum_of(terms)


def _worst_cost(programme: Programme) -> Expression:
    """Costliest scenario: ``w ≥ m[s]·R[s]`` for every s, with or without a known frequency."""
    worst = programme.variable("worst")
    programme.risk.worst = worst
    for name, frequency in _frequencies(programme):
        row = worst >= times_if_any(frequency) * programme.risk.once[name]
        programme.define(row, Family.WORST_COST, name)
    return 1 * worst


def settle(programme: Programme) -> None:
    """Set R, η, z and w to their exact values for the recourse that a solver found.

    In a solution within the gap they may exceed what the costs require, and a solver meets the rows
    that define R only to its tolerance, which is a dollar.
    """
    risk = programme.risk
    if not risk.once:
        return
    cost, chance = {}, {}
    for name, frequency in _frequencies(programme):
        once, row = risk.once[name], programme.constraints[label(Family.SCENARIO_COST, name)]
        off = (
            sum(factor * (variable.value or 0.0) for variable, factor in row.items()) + row.constant
        )
        once.value = max(0.0, (once.value or 0.0) - off)
        cost[name] = times_if_any(frequency) * once.value
        chance[name] = yearly_probability(frequency)
    alpha = programme.data.model.policies.risk.alpha
    level = value_at_risk(list(cost.values()), list(chance.values()), alpha)
    if risk.quantile is not None:
        risk.quantile.value = level
    for name, beyond in risk.beyond.items():
        beyond.value = max(0.0, cost[name] - level)
    if risk.worst is not None:
        risk.worst.value = max(cost.values())
