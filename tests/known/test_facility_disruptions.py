"""Facility location with disruptions, on published data with optima worked out here.

After Snyder, L. V. and Daskin, M. S. (2005), "Reliability models for facility location: the expected
failure cost case", Transportation Science 39, 400-416: a facility that fails is out for a while, its
customers go to the next one, and what that costs counts with its probability. No published instance
of it with data and optimum was at hand, so *these optima are not published*: sites, customers and
costs are those of the OR-Library (``data/README.md``), one site at a time is lost, and every set of
sites is tried, apart from the planner.

Two questions: the least expected cost where a site without substitute loses its customers (capacity
never binds: cap71, cap74), and the least cost of sites that carry all demand whichever is lost
(capacity binds: cap41, cap44).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from known.test_facility_location import SECONDS_PER_YEAR, Instance, read, stated
from scipy.optimize import linprog
from scipy.sparse import csr_array, kron
from support import EXACT, solved

from planner.infrastructure.entities import Model
from planner.optimization.audit import audit

RELATIVE = 1e-6
#: Failures of a site in a year, and hours that each lasts.
FAILURES_PER_YEAR = 0.5
REPAIR_HOURS = 876.0
SHARE_OF_YEAR = FAILURES_PER_YEAR * REPAIR_HOURS / 8760
#: Cost of not serving one unit of demand for a year, well above all transport.
PENALTY = 60.0


def disrupted(instance: Instance, severity: str) -> Model:
    """The planner model of an instance in which each site is lost once."""
    model = stated(instance)
    tier = {
        "priority": 1,
        "share": 1.0,
        "value_usd_per_1000_requests": PENALTY * 1000 / SECONDS_PER_YEAR,
    }
    scenarios = {
        f"loss-of-{site}": {
            "name": f"loss-of-{site}",
            "severity": severity,
            "frequency_per_year": FAILURES_PER_YEAR if severity == "extreme" else 0.0,
            "events": [{"kind": "region", "name": site, "repair_minutes": REPAIR_HOURS * 60}],
        }
        for site in model.regions
    }
    rules = [{"tier": "all", "from_minute": 0.0, "least_served": 1.0}]
    at_once = ("detection_minutes", "response_minutes", "failover_minutes")
    return model.replace(
        tiers={"goods": tier},
        operations=dict.fromkeys(at_once, 0.0),
        standard={"region": rules},
        scenarios=scenarios,
    )


def transport(instance: Instance) -> np.ndarray:
    """Yearly cost of serving all of a customer from a site, by customer and site."""
    return np.array(instance.cost)


def expected_cost(instance: Instance, sites: np.ndarray) -> float:
    """Cost of a year with some sites, each of which carries all demand, shape (sites,) of bool."""
    lost = PENALTY * np.array(instance.demand)
    # A column for going unserved, which never fails.
    cost = np.column_stack([transport(instance)[:, sites], lost])
    order = np.argsort(cost, axis=1)
    nearest, next_best = (np.take_along_axis(cost, order[:, [i]], 1)[:, 0] for i in (0, 1))
    normal = cost[:, :-1].min(axis=1).sum()
    total = np.array(instance.fixed_cost)[sites].sum() + normal
    for site in range(len(sites)):
        failed = np.flatnonzero(sites).tolist().index(site) if sites[site] else -1
        total += SHARE_OF_YEAR * np.where(order[:, 0] == failed, next_best, nearest).sum()
    return float(total)
