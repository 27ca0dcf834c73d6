"""Whether something is the case, as far as it is known before measures are chosen."""

from __future__ import annotations

from dataclasses import dataclass

from planner.optimization.formulation.algebra import Expression


@dataclass(frozen=True)
class When:
    """Reaction variants (numbers of combinations of measures) in which a condition holds.

    Parameters
    ----------
    certain
        Whether it holds in all of them.
    numbers
        Those in which it holds, where that depends on the variant.
    """

    certain: bool
    numbers: frozenset[int] = frozenset()

    @property
    def impossible(self) -> bool:
        """Whether it holds in none of them."""
        return not self.certain and not self.numbers


@dataclass(frozen=True)
class Availability:
    """Whether something is up, or a condition holds: certainly, certainly not, or by purchases.

    Parameters
    ----------
    expression
        1 where it is, 0 where it is not: a constant, or an expression in binaries.
    """

    expression: Expression

    @classmethod
    def known(cls, value: bool) -> Availability:
        """One that no purchase changes."""
        return cls(Expression(constant=float(value)))

    @property
    def certain(self) -> bool:
        """Whether it is up whatever is bought."""
        return self._constant and self.expression.constant > 0

    @property
    def impossible(self) -> bool:
        """Whether it is down whatever is bought."""
        return self._constant and not self.expression.constant

    @property
    def _constant(self) -> bool:
        return not self.expression.items()
