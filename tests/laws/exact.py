"""Laws in the form that takes longer, against which the product's are checked."""

from __future__ import annotations


def erlang_c(servers: int, load: float) -> float:
    """Probability that a request waits in M/M/c, exactly (Erlang's second formula).

    ``C = B/(1 − ρ·(1 − B))``, B being the share lost without a waiting room, by the recursion
    ``B(0) = 1, B(n) = a·B(n−1)/(n + a·B(n−1))`` with ``a = c·ρ``.

    Sources: A. K. Erlang, "Løsning af nogle Problemer fra Sandsynlighedsregningen af Betydning for
    de automatiske Telefoncentraler", Elektroteknikeren 13 (1917); R. B. Cooper, "Introduction to
    Queueing Theory", 2nd ed., North Holland 1981, chapter 3.
    """
    offered = servers * load
    lost = 1.0
    for count in range(1, servers + 1):
        lost = offered * lost / (count + offered * lost)
    return lost / (1.0 - load * (1.0 - lost))


def amplification(success: float, attempts: int, gives_up: float) -> float:
    """Attempts per request when each attempt succeeds with the same probability.

    ``Σ_{a=0..n} ((1 − success)·(1 − gives_up))^a``: load multiplies by up to ``n + 1`` when nothing
    succeeds, which is what keeps a retry storm alive.
    """
    ratio = (1 - success) * (1 - gives_up)
    return float(sum(ratio**a for a in range(attempts + 1)))
