"""Cloud: what regions cannot hold is reserved, the cheapest retainer per request first."""

from __future__ import annotations

from dataclasses import replace

from planner.analysis.rule_of_thumb.draft import SizingDraft
from planner.optimization.formulation.problem import ProblemData

#: Cloud added in one step, as a share of the peak of the week.
CLOUD_STEP = 0.01


def reserved(data: ProblemData, draft: SizingDraft, rps: float) -> SizingDraft:
    """With so many requests per second more in the cloud, as far as there is supply."""
    model, instances = data.model, dict(draft.instances)

    def price(offer: str) -> float:
        one = model.offers[offer]
        yearly = one.retainer_usd_per_instance_year
        return yearly / (one.gpus_per_instance * one.rps_per_gpu)

    for offer in sorted(model.offers, key=price):
        one = model.offers[offer]
        each = one.gpus_per_instance * one.rps_per_gpu
        supply = one.available_gpus // one.gpus_per_instance - instances[offer]
        policies = model.policies
        if offer in policies.forbidden.emergency or offer in policies.fixed.emergency:
            continue
        wanted = max(0, min(supply, -int(-rps // each)))
        instances[offer] += wanted
        rps -= wanted * each
    return replace(draft, instances=instances)


def more_cloud(data: ProblemData, draft: SizingDraft) -> SizingDraft | None:
    """One step more of the cloud; None where there is no supply."""
    more = reserved(data, draft, CLOUD_STEP * data.peak_rps)
    return None if more == draft else more
