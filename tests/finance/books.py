"""Studies worked out from builds in money, without sampling, for tests of the workbook."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support import verdict_of

from planner.finance.appraisal import appraise
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Build
from planner.finance.cashflow import Floats, Position
from planner.finance.coverage import Coverage
from planner.finance.ledger import LedgerLine
from planner.finance.losses import difference, loss_profile
from planner.finance.sensitivity import break_evens, tornado
from planner.finance.study import FinanceStudy, Sampling, Valued
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.reliability.cooling_adequacy import CoolingAdequacy
from planner.reliability.estimates import Estimate
from planner.reliability.occurrences import Occurrences, SourceRate

#: No cascade behind it: two failures a year, told by hand.
RATES = (SourceRate("unit-west", 1, 1.5, 600.0), SourceRate("=region()", 1, 0.05, 3000.0))


def occurrences_of(model: Model, worse: float) -> Occurrences:
    """Four samples of two failures; `worse` scales what is lost."""
    tiers = tuple(model.tiers)
    lost = worse * np.outer([1e5, 3e5, 5e6, 9e6], np.ones(len(tiers)))
    return Occurrences(
        tiers=tiers,
        times_per_year=np.array([0.75, 0.75, 0.025, 0.025]),
        sources=("unit-west", "unit-west", "=region()", "=region()"),
        members=(("unit-west",),) * 2 + (("=region()",),) * 2,
        lost_requests=lost,
        unserved_minutes=lost / 1e5,
        emergency_usd=worse * np.array([0.0, 0.0, 4e4, 8e4]),
        stratum=np.array([0, 0, 1, 1]),
        number=np.array([0, 1, 0, 1]),
        strata=("unit-west", "=region()"),
        rates=RATES,
        demand_rps=np.full(len(tiers), 100.0),
        truncated_minutes_per_year=0.0,
        samples=4,
        simulated=4,
        seed=0,
    )


def study_of_positions(
    model: Model,
    positions: Sequence[Position],
    assumptions: Assumptions,
    other_usd: Floats | None = None,
    ledger: tuple[LedgerLine, ...] = (),
    fleets: Sequence[Fleet] = (),
) -> FinanceStudy:
    """Study of builds in money, the first of which exists."""
    base, *others = positions
    valued: list[Valued] = []
    for index, one in enumerate(positions):
        fleet = fleets[index] if fleets else Fleet.existing(model)
        occurrences = occurrences_of(model, 1.0 / (1 + 9 * index))
        profile = loss_profile(model, occurrences, resamples=2)
        cooling = CoolingAdequacy(
            ("west-chillers",), ("west-gpus",), "west", 1.5, 2.5, 3.5, 1, 0.5, (), "fire", ""
        )
        valued.append(
            Valued(
                Build(one.name, model, fleet, ()),
                one,
                (verdict_of("unit-west"), verdict_of("=region()")),
                occurrences,
                profile,
                difference(valued[0].profile, profile) if valued else None,
                (cooling,),
                appraise(base, one, assumptions, other_usd),
                Coverage(("cooling units",), ("software services",)),
                {"business": Estimate(1.5, 0.5, 2.5)} if valued else {},
            )
        )
    return FinanceStudy(
        model="model",
        sha256="0" * 64,
        created="2026-01-02T03:04:05+00:00",
        versions={"planner": "0"},
        assumptions=assumptions,
        sampling=Sampling(4),
        valued=tuple(valued),
        other_usd=other_usd,
        ledger=ledger,
        swings={one.name: tornado(base, one, assumptions, other_usd) for one in others},
        break_evens={one.name: break_evens(base, one, assumptions, other_usd) for one in others},
    )
