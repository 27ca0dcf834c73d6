"""Amounts for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import run_here

from planner.amounts import millions, money

amounts = st.floats(min_value=0.01, max_value=1e14)
NEXT_TO_NOTHING_USD = 100.0


@given(amounts, st.integers(0, 3))
def test_an_amount_is_shown_to_within_five_percent(amount: float, places: int) -> None:
    """What is shown is within 5 % of what is meant, whatever its size."""
    if amount < NEXT_TO_NOTHING_USD:
        assert millions(amount, places) == "≈0"
    shown = [(millions(amount, places), 1e6)] if amount >= NEXT_TO_NOTHING_USD else []
    for text, factor in (*shown, (money(amount, places), 0.0)):
        number, *unit = text.replace(",", "").split()
        scale = factor or (1e6 if unit[0] == "M" else 1.0)
        within = 0.005 if factor == 0.0 and scale == 1.0 and amount < 10 else 0.0501 * amount
        assert abs(float(number) * scale - amount) <= max(within, 0.005)
        assert "e" not in number


@given(st.floats(-0.0049, 0.0049))
def test_an_amount_below_half_a_cent_is_zero_without_a_sign(amount: float) -> None:
    assert millions(amount) == "0.00"
    assert money(amount) == "0 USD"


def test_more_than_nothing_has_a_plus_where_asked() -> None:
    assert millions(4_500.0, sign="+") == "+0.0045"
    assert millions(-2.5e6, sign="+") == "-2.50"


@pytest.mark.parametrize("command", [("optimize", "tiny"), ("simulate", "tiny")])
def test_tables_show_no_small_amount_as_zero(command: tuple[str, ...]) -> None:
    """Emergency spend of some thousand dollars was 0.00 M USD."""
    settings = ("--set", "offers.cloud.usd_per_instance_hour=0.05")
    settings += ("--set", "offers.cloud.retainer_usd_per_instance_year=0.5")
    settings += ("--set", "offers.cloud.existing_instances=60")
    shown = run_here(*command, *settings, "-q").stdout
    assert " 0.00 " not in shown
    assert "0.00" in shown
