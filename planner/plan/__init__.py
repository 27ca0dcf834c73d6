"""Plans: their records, their files, differences between them, thresholds on them."""

from planner.plan.records import Plan as Plan
