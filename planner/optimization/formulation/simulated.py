"""Cuts from the simulation: what of a purchase makes up for what a scenario was short of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gain:
    """What one more of a purchase gives.

    Parameters
    ----------
    kind, asset
        The purchase, as `planner.optimization.solution.decisions.Decision` has it.
    bought
        Number bought less retired when it was measured.
    share
        By how much one more lessens what is short, as a share of all of it.
    """

    kind: str
    asset: str
    bought: int
    share: float

    @property
    def key(self) -> tuple[str, str]:
        """The purchase."""
        return self.kind, self.asset


@dataclass(frozen=True)
class SimulatedCut:
    """A breach of a scenario in simulation, and what each purchase would have done about it.

    Parameters
    ----------
    scenario, kind, subject, short
        The breach (`planner.simulation.verdict.short_by`).
    gains
        Purchases that lessen it.
    """

    scenario: str
    kind: str
    subject: str
    short: float
    gains: tuple[Gain, ...]
