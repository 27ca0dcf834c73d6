"""Variables, linear expressions and rows of a programme: only what its formulation uses.

PuLP's objects cost microseconds and kilobytes a term, so rows are written with these; the solver
gets them from PuLP in one pass (`solution.scaling.Scaled.problem`) or as arrays.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, Mapping

#: Senses of rows: left side at most, equal to, at least the right side.
AT_MOST, EQUAL, AT_LEAST = -1, 0, 1


class _Linear:
    """What variables and expressions have in common: sums, multiples and comparisons."""

    __slots__ = ()
    #: NumPy scalars on the left leave the operation to the class.
    __array_ufunc__ = None

    def _copy(self) -> Expression:
        raise NotImplementedError

    def __add__(self, other: Term) -> Expression:
        return self._copy().add(other)

    def __radd__(self, other: float) -> Expression:
        return self._copy().add(other)

    def __sub__(self, other: Term) -> Expression:
        return self._copy().add(other, -1.0)

    def __rsub__(self, other: float) -> Expression:
        return (self * -1.0).add(other)

    def __mul__(self, factor: float) -> Expression:
        if not factor:
            return Expression()
        found, factor = self._copy(), float(factor)
        for variable, coefficient in found.terms.items():
            found.terms[variable] = factor * coefficient
        found.constant *= factor
        return found

    def __rmul__(self, factor: float) -> Expression:
        return self * factor

    def __truediv__(self, divisor: float) -> Expression:
        found = self._copy()
        for variable, coefficient in found.terms.items():
            found.terms[variable] = coefficient / divisor
        found.constant /= divisor
        return found

    def __neg__(self) -> Expression:
        return self * -1.0

    def __le__(self, other: Term) -> Constraint:
        return Constraint(self - other, AT_MOST)

    def __ge__(self, other: Term) -> Constraint:
        return Constraint(self - other, AT_LEAST)

    def __eq__(self, other: Term) -> Constraint:  # type: ignore[override]
        return Constraint(self - other, EQUAL)

    __hash__ = object.__hash__


class Variable(_Linear):
    """A column of a problem.

    Attributes
    ----------
    id
        Position among the columns of its problem, from `Problem.first_id` on.
    low, high
        Bounds; infinite where there is none.
    value, reduced_cost
        What a solver found; None before.
    """

    __slots__ = ("high", "id", "integer", "low", "name", "reduced_cost", "value")

    def __init__(self, id: int, name: str, low: float, high: float, integer: bool) -> None:  # noqa: A002
        self.id, self.name, self.low, self.high, self.integer = id, name, low, high, integer
        self.value: float | None = None
        self.reduced_cost: float | None = None

    def _copy(self) -> Expression:
        return Expression({self: 1.0})

    def __repr__(self) -> str:
        return self.name


class Expression(_Linear):
    """A sum of multiples of variables and a constant.

    Parameters
    ----------
    terms
        Coefficient by variable; kept, not copied.
    """

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Variable, float] | None = None, constant: float = 0.0) -> None:
        self.terms: dict[Variable, float] = {} if terms is None else terms
        self.constant = constant

    def _copy(self) -> Expression:
        return Expression(self.terms.copy(), self.constant)

    def add(self, other: Term, factor: float = 1.0) -> Expression:
        """Add a multiple of something to this expression itself, and return it."""
        terms = self.terms
        if isinstance(other, Variable):
            terms[other] = terms.get(other, 0.0) + factor
        elif isinstance(other, Expression):
            for variable, coefficient in other.terms.items():
                terms[variable] = terms.get(variable, 0.0) + factor * coefficient
            self.constant += factor * other.constant
        else:
            self.constant += factor * float(other)
        return self

    def items(self) -> ItemsView[Variable, float]:
        """Variables with their coefficients."""
        return self.terms.items()

    def evaluated(self) -> float:
        """Value at what a solver found; a variable without a value counts as zero."""
        found = 0.0
        for variable, factor in self.terms.items():
            found += factor * (variable.value or 0.0)
        return found + self.constant

    def at(self, values: Mapping[str, float]) -> float:
        """Value at values of its variables by name."""
        return sum((f * values[v.name] for v, f in self.terms.items()), self.constant)

    def __repr__(self) -> str:
        parts = [str(v) if f == 1 else f"{f:g}*{v}" for v, f in self.terms.items()]
        return " + ".join([*parts, f"{self.constant:g}"] if self.constant or not parts else parts)


Term = Variable | Expression | float


class Constraint:
    """A row ``expression sense 0``; named once it belongs to a problem.

    Attributes
    ----------
    sense
        `AT_MOST`, `EQUAL` or `AT_LEAST`.
    dual
        What a solver found; None before.
    """

    __slots__ = ("dual", "expression", "name", "sense")

    def __init__(self, expression: Expression, sense: int) -> None:
        self.expression, self.sense, self.name = expression, sense, ""
        self.dual: float | None = None

    def items(self) -> ItemsView[Variable, float]:
        """Variables with their coefficients."""
        return self.expression.terms.items()

    def set_coefficient(self, variable: Variable, coefficient: float) -> None:
        """Set the coefficient of a variable."""
        self.expression.terms[variable] = coefficient

    @property
    def constant(self) -> float:
        """Constant on the left side: the right-hand side with the other sign."""
        return self.expression.constant

    @constant.setter
    def constant(self, value: float) -> None:
        self.expression.constant = value


class Problem:
    """A problem of minimisation: columns, rows, objective.

    Attributes
    ----------
    first_id
        Id of the first column: tells the columns of two problems apart that share some.
    variables, constraints
        Columns and rows in the order in which they were added.
    """

    def __init__(self, first_id: int = 0) -> None:
        self.first_id = first_id
        self.variables: list[Variable] = []
        self.constraints: list[Constraint] = []
        self.objective = Expression()

    def add_variable(
        self, name: str, low: float = 0.0, high: float = math.inf, integer: bool = False
    ) -> Variable:
        """Add a column."""
        variable = Variable(self.first_id + len(self.variables), name, low, high, integer)
        self.variables.append(variable)
        return variable

    def add_variables(self, names: Iterable[str]) -> list[Variable]:
        """Add columns from 0 upwards."""
        first = self.first_id + len(self.variables)
        made = [Variable(i, name, 0.0, math.inf, False) for i, name in enumerate(names, first)]
        self.variables += made
        return made

    def add(self, constraint: Constraint, name: str) -> Constraint:
        """Add a row and name it."""
        constraint.name = name
        self.constraints.append(constraint)
        return constraint


def each(variables: Iterable[Variable]) -> Expression:
    """Sum of variables that are all different."""
    return Expression(dict.fromkeys(variables, 1.0))


def sum_of(terms: Iterable[Term]) -> Expression:
    """Sum of variables, expressions and numbers.

    >>> problem = Problem()
    >>> x, y = problem.add_variable("x"), problem.add_variable("y")
    >>> sum_of([x, 2 * y, y, 1.5])
    x + 3*y + 1.5
    """
    found: dict[Variable, float] = {}
    constant = 0.0
    for term in terms:
        if isinstance(term, Variable):
            found[term] = found.get(term, 0.0) + 1.0
        elif isinstance(term, Expression):
            for variable, coefficient in term.terms.items():
                found[variable] = found.get(variable, 0.0) + coefficient
            constant += term.constant
        else:
            constant += float(term)
    return Expression(found, constant)
