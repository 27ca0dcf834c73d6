"""Draw the picture of the README: the 2023 failure on what existed and on the optimised plan.

Run ``python docs/figures.py`` with matplotlib installed; writes ``docs/cascade-2023.svg``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import load_model
from planner.optimization.solution.solving import SolverSettings
from planner.selection import select
from planner.simulation.cascade import simulate
from planner.verification import optimize_and_verify

HOURS = 7
START = 16 + 5 / 60
COLOURS = {"as it was": "#b3261e", "optimised": "#1b6e53"}


def main() -> None:
    """Optimise the reference model, replay the incident on both fleets, draw."""
    model = load_model("chatgpt-2023").model
    selection = select(model)
    outcome = optimize_and_verify(model, selection.scenarios, SolverSettings(), selection=selection)
    if outcome.best is None:
        raise SystemExit("no plan")
    fleets = {"as it was": Fleet.existing(model), "optimised": outcome.best.solution.fleet}
    mpl.rcParams |= {"svg.hashsalt": "planner", "font.size": 10, "axes.spines.top": False}
    mpl.rcParams |= {"axes.spines.right": False, "svg.fonttype": "none"}
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True)
    incident = (model.scenarios["incident-2023"],)
    for name, fleet in fleets.items():
        _, history = simulate(model, fleet, incident)
        minutes = HOURS * 60
        hours = START + np.arange(minutes) / 60
        wanted = history.demand_rps[:minutes, 0]
        served = np.minimum(history.served_rps[:minutes, 0], wanted).sum(axis=1)
        demand = wanted.sum(axis=1)
        style = {"color": COLOURS[name], "label": name, "linewidth": 2}
        above.plot(hours, history.temperature_c[:minutes, 0, 0], **style)
        below.plot(hours, 100 * served / demand, **style)
    above.axhline(95, color="grey", linewidth=0.8, linestyle=":")
    above.text(START + HOURS, 95.5, "shutdown", ha="right", color="grey", fontsize=9)
    above.set_ylabel("us-west GPUs, °C")
    above.set_ylim(60, 100)
    above.legend(frameon=False, loc="center right")
    below.set_ylabel("demand served, %")
    below.set_ylim(0, 105)
    below.set_xlabel("time of day (UTC), 8 November 2023")
    below.set_xticks(range(17, 24), [f"{hour}:00" for hour in range(17, 24)])
    figure.suptitle("One cooling loop fails at 16:05", x=0.02, ha="left", fontweight="bold")
    figure.tight_layout()
    target = Path(__file__).with_name("cascade-2023.svg")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
