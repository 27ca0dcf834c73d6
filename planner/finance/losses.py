"""Failure losses of a year and availability by tier, from failures that were sampled already.

Computed from weighted samples of failures (`planner.reliability.occurrences`) and prices of the
model. Prices, surge multipliers and failure rates may be changed without another simulation: the
samples get other prices and other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.infrastructure.customers import Tier
from planner.infrastructure.entities import Model
from planner.laws.annual import AnnualLoss, annual_loss
from planner.laws.credits import MonthlyCredit, credit_usd, monthly_credit
from planner.laws.money import lost_usd
from planner.reliability.estimates import (
    Estimate,
    Floats,
    half_width,
    in_blocks,
    repeats_of,
    variance_of_mean,
)
from planner.reliability.occurrences import MINUTES_PER_YEAR, NORMAL, Occurrences


@dataclass(frozen=True)
class SourceLoss:
    """What the failures that begin with one scenario cost.

    Parameters
    ----------
    source
        The scenario, or `normal operation`.
    times_per_year
        How often it strikes with nothing else down.
    usd_per_year
        Expected loss of a year, with what follows from other failures meanwhile.
    """

    source: str
    times_per_year: float
    usd_per_year: Estimate


@dataclass(frozen=True, eq=False)
class LossProfile:
    """Losses of a year; all money in USD a year unless said otherwise.

    Parameters
    ----------
    tiers
        Names of the tiers by priority.
    availability
        Share of the year's minutes served by tier: one less the mean share not served.
    downtime_minutes_per_year
        ``Σ minutes·(1 − served fraction)`` in a year, by tier.
    lost_requests_per_year
        Requests without answer, by tier.
    value_usd
        Lost-request value.
    credits_usd
        Service credits: by the schedule of the tier where it has one (each occurrence as the only
        one of its month), else for each request lost.
    emergency_usd
        Spend on emergency capacity.
    expected_annual_loss_usd
        All three together.
    by_source
        The same by the scenario that began the period, the costliest first.
    annual
        Distribution of the loss of a year: exceedance curve, quantiles.
    alpha
        Confidence of VaR and CVaR.
    var_usd, cvar_usd
        Value at risk: loss of a year that is exceeded with probability 1 − alpha. Conditional value
        at risk: mean of the costliest share 1 − alpha of years.
    credits_by_month
        Service credits of a month, all its occurrences together, by tier with a schedule.
    occurrence_usd
        Loss of each sample, USD (N,).
    occurrences
        The samples, with the weights used.
    """

    tiers: tuple[str, ...]
    availability: Mapping[str, Estimate]
    downtime_minutes_per_year: Mapping[str, Estimate]
    lost_requests_per_year: Mapping[str, Estimate]
    value_usd: Estimate
    credits_usd: Estimate
    emergency_usd: Estimate
    expected_annual_loss_usd: Estimate
    by_source: tuple[SourceLoss, ...]
    annual: AnnualLoss
    alpha: float
    var_usd: Estimate
    cvar_usd: Estimate
    credits_by_month: Mapping[str, MonthlyCredit]
    occurrence_usd: Floats
    occurrences: Occurrences


def loss_profile(
    model: Model,
    occurrences: Occurrences,
    alpha: float = 0.95,
    resamples: int = 40,
) -> LossProfile:
    """Losses of a year from samples of failures and the prices of a model.

    Parameters
    ----------
    model
        Prices: lost-request value, service credits, schedules.
    occurrences
        Samples.
    alpha
        Confidence of value at risk, 0 ≤ alpha < 1.
    resamples
        Bootstrap resamples for the intervals of VaR and CVaR; 0 for no intervals.

    Raises
    ------
    ValueError
        If alpha is out of range, or the model has other tiers than the samples.
    """
    _check(model, occurrences, alpha)
    value = _value_usd(model, occurrences)
    credited = _credits_usd(model, occurrences)
    emergency = occurrences.emergency_usd
    usd = value + credited + emergency
    truncated = occurrences.truncated_minutes_per_year
    most = truncated * _most_usd_per_minute(model, occurrences)
    annual = annual_loss(usd, occurrences.times_per_year)
    var, cvar = _risks(occurrences, usd, annual, alpha, resamples)
    minutes = _by_tier(occurrences, occurrences.unserved_minutes, truncated)
    return LossProfile(
        tiers=occurrences.tiers,
        availability={k: down.availability(MINUTES_PER_YEAR) for k, down in minutes.items()},
        downtime_minutes_per_year=minutes,
        lost_requests_per_year=_by_tier(occurrences, occurrences.lost_requests, 0.0),
        value_usd=_positive(occurrences.per_year(value)),
        credits_usd=_positive(occurrences.per_year(credited)),
        emergency_usd=_positive(occurrences.per_year(emergency)),
        expected_annual_loss_usd=_positive(occurrences.per_year(usd)).raised(most),
        by_source=_by_source(occurrences, usd),
        annual=annual,
        alpha=alpha,
        var_usd=var,
        cvar_usd=cvar,
        credits_by_month=_months(model, occurrences),
        occurrence_usd=usd,
        occurrences=occurrences,
    )


def difference(a: LossProfile, b: LossProfile) -> Estimate:
    """Expected annual loss of `a` less that of `b`, with the interval of paired samples.

    Where both have the same failures (same stratum and number), common variance cancels:
    ``Var = Σ v_a + v_b − 2·m·cov/(n_a·n_b)`` over the strata, m being the samples (or blocks of
    samples) in common.
    """
    return _difference(_contributions(a, a.occurrence_usd), _contributions(b, b.occurrence_usd))


def more_downtime(a: LossProfile, b: LossProfile, tier: str) -> Estimate:
    """Additional downtime of a tier on `b` beyond `a`, minutes a year, by paired samples."""
    (first, second) = (
        _contributions(profile, profile.occurrences.unserved_minutes[:, profile.tiers.index(tier)])
        for profile in (b, a)
    )
    return _difference(first, second)


def _difference(first: Mapping[str, Floats], second: Mapping[str, Floats]) -> Estimate:
    value, variance, freedom = 0.0, [0.0], [1.0]
    for name in sorted(first.keys() | second.keys()):
        ours, theirs = (found.get(name, np.zeros(0)) for found in (first, second))
        value += float(ours.sum() / max(1, len(ours)) - theirs.sum() / max(1, len(theirs)))
        if name != NORMAL:
            spread, degrees = _paired(ours, theirs)
            variance.append(spread)
            freedom.append(degrees)
    half = half_width(np.array(variance), np.array(freedom))
    return Estimate(value, value - half, value + half)


def _contributions(profile: LossProfile, values: Floats) -> dict[str, Floats]:
    """Contributions of the samples of each stratum, in the order of their numbers."""
    samples = profile.occurrences
    return dict(zip(samples.strata, samples.by_stratum(values), strict=True))


def _paired(ours: Floats, theirs: Floats) -> tuple[float, float]:
    """Variance of the difference of two means of paired samples, and its degrees of freedom."""
    if not len(ours) or not len(theirs):
        alone = ours if len(ours) else theirs
        return variance_of_mean(alone, in_blocks(alone))
    blocks = in_blocks(ours) and in_blocks(theirs)
    (first, nu), (second, mu) = (variance_of_mean(x, blocks) for x in (ours, theirs))
    pairs = [repeats_of(x, blocks) for x in (ours, theirs)]
    common = min(map(len, pairs))
    if common < 2:
        return first + second, min(nu, mu)
    covariance = float(np.cov(pairs[0][:common], pairs[1][:common])[0, 1])
    shared = covariance * common / (len(pairs[0]) * len(pairs[1]))
    return max(0.0, first + second - 2 * shared), min(nu, mu)


def _check(model: Model, occurrences: Occurrences, alpha: float) -> None:
    wrong = []
    if not 0 <= alpha < 1:
        wrong.append(f"alpha in [0, 1), got {alpha}")
    if set(model.tiers) != set(occurrences.tiers):
        wrong.append(f"the tiers {', '.join(occurrences.tiers)}, got {', '.join(model.tiers)}")
    if wrong:
        raise ValueError(f"Expected {'; '.join(wrong)}.")


def _positive(estimate: Estimate) -> Estimate:
    """Losses are not negative."""
    return estimate.within(0.0, np.inf)


def _by_tier(occurrences: Occurrences, values: Floats, more: float) -> dict[str, Estimate]:
    return {
        tier: _positive(occurrences.per_year(values[:, k])).raised(more)
        for k, tier in enumerate(occurrences.tiers)
    }


def _value_usd(model: Model, occurrences: Occurrences) -> Floats:
    """Lost-request value of each sample, USD (N,)."""
    prices = [model.tiers[tier].value_usd_per_1000_requests for tier in occurrences.tiers]
    return _requests_usd(occurrences.lost_requests, prices)


def _requests_usd(requests: Floats, usd_per_1000: list[float]) -> Floats:
    """Requests (N, K) at prices by tier: a rate of requests/3600 a second lost for an hour."""
    usd = [lost_usd(requests[:, k] / 3600, 1.0, price) for k, price in enumerate(usd_per_1000)]
    total: Floats = np.sum(usd, axis=0)
    return total


def _steps(tier: Tier) -> tuple[tuple[float, float], ...]:
    return tuple((step.below, step.credit) for step in tier.sla_credits)


def _credits_usd(model: Model, occurrences: Occurrences) -> Floats:
    """Service credits of each sample, USD (N,)."""
    total = np.zeros(len(occurrences))
    for k, name in enumerate(occurrences.tiers):
        tier = model.tiers[name]
        if tier.sla_credits:
            minutes = occurrences.unserved_minutes[:, k]
            total += credit_usd(minutes, _steps(tier), tier.revenue_usd_per_month)
        else:
            requests = occurrences.lost_requests[:, k : k + 1]
            total += _requests_usd(requests, [tier.sla_credit_usd_per_1000_requests])
    return total


def _months(model: Model, occurrences: Occurrences) -> dict[str, MonthlyCredit]:
    """Service credits of a month by tier with a schedule, all its occurrences together."""
    return {
        name: monthly_credit(
            occurrences.unserved_minutes[:, k],
            occurrences.times_per_year,
            _steps(model.tiers[name]),
            model.tiers[name].revenue_usd_per_month,
        )
        for k, name in enumerate(occurrences.tiers)
        if model.tiers[name].sla_credits
    }


def _most_usd_per_minute(model: Model, occurrences: Occurrences) -> float:
    """Lost-request value and service credits of a minute without any service, USD."""
    prices = [
        model.tiers[name].value_usd_per_1000_requests
        + model.tiers[name].sla_credit_usd_per_1000_requests
        for name in occurrences.tiers
    ]
    return float(_requests_usd(60 * occurrences.demand_rps[None, :], prices)[0])


def _by_source(occurrences: Occurrences, usd: Floats) -> tuple[SourceLoss, ...]:
    sources = np.array(occurrences.sources, dtype=object)
    up = occurrences.up_probability()
    begins = {source.name: up * source.times_per_year for source in occurrences.rates}
    found = []
    for name in sorted(set(occurrences.sources)):
        mine = sources == name
        times = begins.get(name, float(occurrences.times_per_year[mine].sum()))
        loss = _positive(occurrences.per_year(np.where(mine, usd, 0.0)))
        found.append(SourceLoss(name, times, loss))
    return tuple(sorted(found, key=lambda source: (-source.usd_per_year.value, source.source)))


def _risks(
    occurrences: Occurrences, usd: Floats, annual: AnnualLoss, alpha: float, resamples: int
) -> tuple[Estimate, Estimate]:
    """Value at risk and conditional value at risk.

    Their intervals are ± 1.96 standard deviations over bootstrap resamples, which are drawn with
    replacement within each stratum.
    """
    values = annual.value_at_risk(alpha), annual.conditional_value_at_risk(alpha)
    if not resamples or not usd.any():
        return Estimate.exact(values[0]), Estimate.exact(values[1])
    rng = np.random.default_rng([occurrences.seed, len(usd)])
    costly = usd > 0
    drawn = []
    for _ in range(resamples):
        times = occurrences.times_per_year * _drawn_again(occurrences, rng)
        law = annual_loss(usd[costly], times[costly], points=2048)
        drawn.append((law.value_at_risk(alpha), law.conditional_value_at_risk(alpha)))
    half = 1.96 * np.std(drawn, axis=0, ddof=1) if resamples > 1 else np.zeros(2)
    var, cvar = (
        _positive(Estimate(value, value - width, value + width))
        for value, width in zip(values, half.tolist(), strict=True)
    )
    return var, cvar


def _drawn_again(occurrences: Occurrences, rng: np.random.Generator) -> Floats:
    """Multiplicity of each sample in a bootstrap resample within its stratum (N,)."""
    times = np.ones(len(occurrences))
    for s, name in enumerate(occurrences.strata):
        mine = np.flatnonzero(occurrences.stratum == s)
        if len(mine) > 1 and name != NORMAL:
            picked = rng.integers(len(mine), size=len(mine))
            times[mine] = np.bincount(picked, minlength=len(mine))
    return times
