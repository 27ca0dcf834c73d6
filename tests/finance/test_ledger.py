"""The ledger: every contradiction of the record shown, formulas safe, bad tables named by line."""

from __future__ import annotations

import doctest
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.finance import ledger
from planner.finance.ledger import (
    LedgerLine,
    break_even,
    evaluate,
    names,
    read_ledger,
    significant_digits,
)
from planner.laws.returns import net_present_value

M = 1e6
HEADER = "item,group,printed,formula,unit,role,note\n"


def test_examples_hold() -> None:
    result = doctest.testmod(ledger)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.fixture(scope="module")
def lines() -> dict[tuple[str, str], LedgerLine]:
    """Lines of the ledger of 2023 by group and item."""
    return {(line.group, line.item): line for line in read_ledger("chatgpt-2023")}


class TestOf2023:
    @pytest.mark.parametrize(
        ("group", "item", "printed", "by_formula", "agrees"),
        [
            ("revenue", "subscriptions lost", 1.7 * M, 5 / 3 * M, True),
            ("revenue", "API revenue lost", 0.425 * M, 0.4166667 * M, False),
            ("revenue", "direct revenue lost", 2.1 * M, 2.0833333 * M, True),
            ("productivity", "enterprise productivity lost", 750 * M, 7500 * M, False),
            ("productivity", "developer productivity lost", 450 * M, 450 * M, True),
            ("productivity", "total productivity lost", 1200 * M, 7950 * M, False),
            (
                "productivity",
                "productivity lost in the executive summary",
                200 * M,
                1200 * M,
                False,
            ),
            ("incident", "direct revenue", 2.1 * M, 2.0833333 * M, True),
            ("incident", "productivity of customers", 1200 * M, 7950 * M, False),
            ("incident", "emergency response", 50 * M, None, None),
            ("incident", "SLA credits", 25 * M, None, None),
            ("incident", "market share", 100 * M, None, None),
            ("incident", "brand and trust", 200 * M, None, None),
            ("incident", "total of the printed items", 1580 * M, 1577.1 * M, True),
            ("incident", "total with recomputed items", 1580 * M, 8327.083333 * M, False),
            ("prevention", "cooling", 200 * M, None, None),
            ("prevention", "regional capacity", 500 * M, None, None),
            ("prevention", "monitoring", 50 * M, None, None),
            ("prevention", "emergency response capabilities", 100 * M, None, None),
            ("prevention", "backup infrastructure", 300 * M, None, None),
            ("prevention", "process improvements per year", 25 * M, None, None),
            ("prevention", "total once", 1150 * M, 1150 * M, True),
            ("prevention", "total with ten years of process improvements", None, 1400 * M, None),
            ("return", "benefit-cost ratio", 137.0, 137.391304, True),
            ("return", "return on investment", 137.0, 37.391304, False),
            ("operations", "average queue wait", 83.3, 8.333333, False),
            ("operations", "inference time at 90 °C", 11.8, 12.0, False),
            ("operations", "throughput at 90 °C", 170.0, 166.666667, True),
            ("operations", "capacity in use at 16:00", 85.0, 79.230769, False),
            ("operations", "more traffic on the backup", 300.0, 472.222222, False),
            ("operations", "requests pending", 5 * M, 1 * M, False),
            ("operations", "users affected", 100 * M, 86 * M, False),
        ],
    )
    def test_figures_are_kept_as_printed_and_by_formula(
        self,
        lines: dict[tuple[str, str], LedgerLine],
        group: str,
        item: str,
        printed: float | None,
        by_formula: float | None,
        agrees: bool | None,
    ) -> None:
        line = lines[group, item]
        assert line.printed == printed
        assert line.by_formula == (None if by_formula is None else pytest.approx(by_formula))
        assert line.agrees is agrees
        if printed is None or by_formula is None:
            assert line.difference is None
        else:
            assert line.difference == pytest.approx(by_formula - printed, abs=1.0)
        if not line.formula:
            assert "no inputs given" in line.note

    def test_money_is_kept_apart_from_other_units(
        self, lines: dict[tuple[str, str], LedgerLine]
    ) -> None:
        for (group, _), line in lines.items():
            money = group in {"revenue", "productivity", "incident", "prevention"}
            assert line.is_money is money
            assert line.printed_usd == (line.printed if money else None)
            assert line.by_formula_usd == (line.by_formula if money else None)

    def test_items_add_up_to_the_recomputed_total(
        self, lines: dict[tuple[str, str], LedgerLine]
    ) -> None:
        items = [
            line.printed if line.by_formula is None else line.by_formula
            for (group, item), line in lines.items()
            if group == "incident" and not item.startswith("total")
        ]
        assert len(items) == 6
        total = lines["incident", "total with recomputed items"].by_formula
        assert sum(items) == pytest.approx(total)

    def test_formulas_can_be_recomputed_from_their_inputs(
        self, lines: dict[tuple[str, str], LedgerLine]
    ) -> None:
        for line in lines.values():
            if line.formula:
                assert evaluate(line.formula, dict(line.inputs)) == line.by_formula
            else:
                assert line.inputs == ()

    def test_break_even_makes_the_net_present_value_zero(
        self, lines: dict[tuple[str, str], LedgerLine]
    ) -> None:
        printed, computed = break_even(tuple(lines.values()), 0.09)
        assert printed.incidents == pytest.approx((1150 + 250) / 1580)
        assert computed.incidents == pytest.approx((1150 + 250) / 8327.083333)
        for case in (printed, computed):
            yearly = case.incidents_discounted / 10 * case.usd_per_incident - 25 * M
            worth = net_present_value(0.09, [-1150 * M] + [yearly] * 10)
            assert worth == pytest.approx(0.0, abs=1.0)
            assert case.incidents_discounted > case.incidents

    def test_an_incident_without_ledger_has_no_lines(self) -> None:
        assert read_ledger("azure-australia-east-2023") == ()
        assert break_even((), 0.09) == ()

    def test_an_unknown_incident_is_refused(self) -> None:
        with pytest.raises(InputError, match="no-such"):
            read_ledger("no-such")


class TestTables:
    @pytest.fixture
    def read(self, tmp_path: Path):
        """Ledger of a folder with the given tables."""

        def read(rows: str, figures: str = "name,printed\na,2\nb,3\n") -> tuple[LedgerLine, ...]:
            (tmp_path / "incident.yaml").write_text("title: one\n", encoding="utf-8")
            (tmp_path / "ledger.csv").write_text(rows, encoding="utf-8")
            (tmp_path / "figures.csv").write_text(figures, encoding="utf-8")
            return read_ledger(tmp_path / "incident.yaml")

        return read

    def test_a_ledger_of_ones_own_is_read(self, read) -> None:
        (line,) = read(HEADER + "x,g,a + b,a * b,USD,,why\n")
        assert (line.printed, line.by_formula, line.note) == (5.0, 6.0, "why")
        assert line.inputs == (("a", 2.0), ("b", 3.0))

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                "x,g,a,c + d,USD,,",
                "ledger.csv:2:1: x: formula there is no figure c and no figure d",
            ),
            ("x,g,c,a,USD,,", "printed there is no figure c"),
            ("x,g,a,a / (b - 3),USD,,", "formula divides by zero"),
            ("x,g,a,open('x'),USD,,", "formula is not a formula of names"),
            ("x,g,,,USD,,", "has neither a printed figure nor a formula"),
            (",g,a,b,USD,,", "item is empty"),
            ("x,,a,b,USD,,", "group is empty"),
            ("x,g,a,b,,,", "unit is empty"),
            ("x,g,a,b,USD,bill,", "role: expected one of incident, capital, yearly, not 'bill'"),
            ("x,g,a,b,USD,yearly,", "role yearly counts in USD/year, not USD"),
            ("x,g,a,b,USD", "expected 7 values"),
            ("x,g,a,b,USD,,,,", "expected 7 values"),
            ("x,g,a,b,USD,,\nx,g,a,b,USD,,", "ledger.csv:3:1: x: is listed twice in its group"),
            ("x,g,a,b,USD,capital,\ny,g,a,b,USD,capital,", "role capital is taken"),
            ('x,g,a,b,USD,,"open', "is not a table of text"),
        ],
    )
    def test_bad_rows_are_named(self, read, row: str, message: str) -> None:
        with pytest.raises(InputError) as caught:
            read(HEADER + row + "\n")
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("figures", "message"),
        [
            ("name,value\na,2\n", "figures.csv:1:1: lacks the columns printed"),
            ("name,printed\na,two\n", "figures.csv:2:1: a: 'two' is not a finite number"),
            ("name,printed\na,nan\n", "'nan' is not a finite number"),
            ("name,printed\na,2\na,3\n", "figures.csv:3:1: a: is listed twice"),
            ("", "lacks the columns name, printed"),
        ],
    )
    def test_bad_figures_are_named(self, read, figures: str, message: str) -> None:
        with pytest.raises(InputError) as caught:
            read(HEADER + "x,g,a,a,USD,,\n", figures)
        assert message in str(caught.value)

    def test_all_problems_of_a_ledger_are_reported_at_once(self, read) -> None:
        with pytest.raises(InputError) as caught:
            read(HEADER + "x,g,c,a,USD,,\ny,g,a,d,,,\n")
        assert len(caught.value.problems) == 3

    def test_missing_figures_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "incident.yaml").write_text("title: one\n", encoding="utf-8")
        (tmp_path / "ledger.csv").write_text(HEADER, encoding="utf-8")
        with pytest.raises(InputError, match=r"figures\.csv: cannot be read"):
            read_ledger(tmp_path / "incident.yaml")

    def test_a_ledger_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "incident.yaml").write_text("title: one\n", encoding="utf-8")
        (tmp_path / "figures.csv").write_text("name,printed\n", encoding="utf-8")
        (tmp_path / "ledger.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="is not a table of text"):
            read_ledger(tmp_path / "incident.yaml")


class TestFormula:
    @given(st.data())
    def test_formulas_agree_with_arithmetic(self, data: st.DataObject) -> None:
        figures = {"a": 2.5, "b": -3.0, "c_d": 7.0}
        leaf = st.sampled_from(["a", "b", "c_d", "2", "0.5", "1e3"])
        tree = st.recursive(
            leaf,
            lambda part: st.one_of(
                st.tuples(part, st.sampled_from("+-*/"), part).map(
                    lambda three: f"({three[0]} {three[1]} {three[2]})"
                ),
                part.map(lambda one: f"-{one}"),
            ),
            max_leaves=8,
        )
        text = data.draw(tree)
        try:
            expected = eval(text, {}, figures)
        except ZeroDivisionError:
            expected = math.nan
        if math.isfinite(expected):
            assert evaluate(text, figures) == expected
        else:
            with pytest.raises(ValueError, match=r"divides by zero|no finite number"):
                evaluate(text, figures)

    @given(st.text(max_size=40))
    def test_any_text_is_a_formula_or_a_clear_error(self, text: str) -> None:
        try:
            evaluate(text, {"a": 1.0})
        except ValueError as error:
            assert str(error).startswith(("is ", "there is no", "divides", "comes to"))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a b",
            "a ** 2",
            "a // 2",
            "a % 2",
            "a if a else 1",
            "a.b",
            "a[0]",
            "f(1)",
            "__import__('os')",
            "'a'",
            "True",
            "1j",
            "a < 1",
            "a or 1",
            "lambda: 1",
            "[1]",
            "a; 1",
            "a\n1",
            "1or 2",
            "(" * 400 + "1" + ")" * 400,
            "a\x00",
        ],
    )
    def test_nothing_else_is_a_formula(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a formula"):
            evaluate(text, {"a": 1.0})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("1" * 1001, "longer than 1,000"),
            ("9" * 400, "no finite number"),
            ("1e308 * 10", "no finite number"),
            ("1 / 0", "divides by zero"),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evaluate(text, {})

    def test_nested_signs_are_bounded(self) -> None:
        assert evaluate("-" * 50 + "1", {}) == 1.0
        with pytest.raises(ValueError, match=r"is not a formula|longer"):
            evaluate("-" * 5_000 + "1", {})

    def test_names_of_a_formula_come_in_order(self) -> None:
        assert names("b * (a + b) - c") == ("b", "a", "c")

    @pytest.mark.parametrize(
        ("value", "digits"),
        [(1_700_000.0, 2), (425_000.0, 3), (83.3, 3), (0.17, 2), (0.0, 1), (-1.15, 3), (1 / 3, 12)],
    )
    def test_significant_digits_are_counted(self, value: float, digits: int) -> None:
        assert significant_digits(value) == digits
