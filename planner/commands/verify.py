"""``plan verify``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import Output, optional_model, output_options, workers_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED


@click.command("verify")
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@optional_model
@output_options
@workers_options
def command(plan_file: Path, model: str | None, output: Output) -> int:
    """Check everything that PLAN (a plan.json, a roadmap.json or its folder) states.

    Purchases are held against every rule, cost item by item against the prices of the model, every
    scenario is simulated. Recourse is worked out anew with the purchases fixed; what the solver
    says of it is not believed but audited, row by row and law by law. Nothing is optimised: that no
    plan is cheaper stays the word of the solver. Of a roadmap the plan of each period is checked,
    without the recourse of those that orders do not reach.

    Exits with 4 if anything is other than stated.
    """
    from planner.reporting.proof import show_proof
    from planner.roadmap.proof import prove_any

    with output.progress.working():
        checks = prove_any(plan_file, model, output.say)
    show_proof(str(plan_file), checks, output.as_json)
    return EXIT_NOT_SURVIVED if any(one.differs for one in checks) else EXIT_DONE
