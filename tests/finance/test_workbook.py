"""The workbook: the same figures as Python, live, and nothing that runs but its own formulas."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from finance.books import occurrences_of, study_of_positions
from finance.formulas import Calculator
from finance.recalculation import Values, cells_of, changed, office, recalculated
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.formula import Tokenizer
from support import THOROUGH, often

from planner.errors import InputError
from planner.finance.appraisal import BuildAppraisal, appraise
from planner.finance.assumptions import Assumptions
from planner.finance.builds import PricedItem, Purchase, Rate, Running
from planner.finance.cashflow import Losses, Position, asset_flows
from planner.finance.ledger import read_ledger
from planner.finance.losses import loss_profile
from planner.finance.study import FinanceStudy
from planner.finance.workbook import workbook_bytes, write_workbook
from planner.finance.workbook.book import FORBIDDEN, range_name, sheet_name
from planner.finance.workbook.inputs import COLUMNS
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.policies import TaxLives
from planner.reporting.finance import show_finance
from planner.reporting.html.money import finance

CENT = 0.005
EVIL = "=HYPERLINK('x')&1"

MONEY = Assumptions(
    discount_rate=0.09,
    horizon_years=10,
    tax_rate=0.25,
    inflation_per_year=0.02,
    electricity_inflation_per_year=0.03,
    demand_growth_per_year=0.01,
)
OTHER = np.array([0.0, 250_000.0, -90_000.0, *[10_000.5] * 8])
#: Upkeep of the tiny model, which states none of its own.
SHARE = 0.03


#: What GPUs and electricity cost: inputs that several lines follow.
ACCELERATOR = PricedItem("servers", "accelerator", 20_000.0, 4.5, 1_500.0, SHARE)
ELECTRICITY = Rate("energy", "electricity in west", "USD per MWh", 80.0)
#: GPUs that are two years old, and cooling units that outlive a short horizon.
IN_PLACE = Purchase(
    *("servers", "west-gpus", "accelerator", "west", 1_000),
    *(20_000.0, 4.5, 1_500.0, 2.25, 18_000.0, ACCELERATOR),
)
OLD_CHILLERS = Purchase(
    "cooling", "east-chillers", "chiller-9", "east", 3, 700_000.0, 14.5, 9_000.0, 1.75, 810_000.0
)


def tiny_with_upkeep(loaded: LoadedModel) -> Any:
    """The tiny model with upkeep and salvage."""
    model = loaded.model
    gpu = model.gpus["accelerator"].model_copy(
        update={"maintenance_share_per_year": SHARE, "salvage_usd": 1_500.0, "life_years": 4.5}
    )
    return model.replace(gpus={"accelerator": gpu})


def upkeep(count: int) -> Running:
    """Upkeep of GPUs."""
    usd = count * 20_000.0 * SHARE
    return Running("upkeep", "west-gpus", "west", usd, "servers", count, "GPUs", ACCELERATOR)


def energy(usd: float) -> Running:
    """Energy of a year."""
    counted = (usd / ELECTRICITY.usd, "MWh", ELECTRICITY)
    return Running("energy", "west-gpus", "west", usd, "electricity", *counted)


def base_position() -> Position:
    """What exists: upkeep of 1,400 GPUs, energy, failures."""
    running = (
        upkeep(1_000),
        energy(2_900_123.45),
        Running("transport", EVIL, "", 54_321.0, "other"),
    )
    losses = Losses(6_500_000.0, 250_000.0, 1_000.0)
    return Position("as it was", (), running, losses, 1_400, 3.1e10, (IN_PLACE, OLD_CHILLERS))


def build_position(name: str = EVIL) -> Position:
    """Every kind of purchase: fractional lives, salvage, a retirement, a life beyond a horizon."""
    bought = (
        replace(IN_PLACE, quantity=300, age_years=None, paid_usd_each=0.0),
        Purchase("servers", "east-gpus", "accelerator", "east", -100, 1_500.0, 4.5),
        Purchase("building", "west-gpus", "building", "west", 300, 30_000.0, 20.0),
        Purchase("power", "west-gpus", "power provisioning", "west", 300, 9_000.0, 20.0),
        Purchase("cooling", "west-chillers", "chiller-3", "west", 2, 1_650_000.0, 12.25, 5e4),
        Purchase("cooling", "west-chillers", EVIL, "west", 1, 99_999.99, 0.4, 10.0),
        Purchase("regions", "south", "opening", "south", 1, 2_000_000.0, 33.3),
        Purchase("measures", "@SUM(1)", "measure", "", 1, 400_000.0, 5.0),
        replace(OLD_CHILLERS, quantity=-1, usd_each=OLD_CHILLERS.salvage_usd_each),
    )
    running = (
        upkeep(1_300),
        Running("upkeep", "west-chillers/chiller-3", "west", 9_999.0, "cooling"),
        energy(3_000_000.5),
        Running(
            *("retainers", "cloud", "", 24_000.0 * 7, "other", 7, "instances"),
            Rate("retainers", "cloud", "USD per instance and year", 24_000.0),
        ),
        Running("measures", "@SUM(1)", "", 12_000.0, "other"),
        Running("+novel", "-x", "", 10.0, "electricity"),
    )
    losses = Losses(31_000.0, 2_000.0, 40_000.0)
    held = (IN_PLACE, replace(OLD_CHILLERS, quantity=OLD_CHILLERS.quantity - 1))
    return Position(name, bought, running, losses, 1_600, 3.2e10, held)


def fleets(model: Any) -> tuple[Fleet, Fleet]:
    """What exists, and 300 GPUs and seven instances more."""
    before = Fleet.existing(model)
    gpus = {**before.gpus, "west-gpus": 1_300}
    return before, replace(before, gpus=gpus, instances={"cloud": 7})


def study_of(loaded: LoadedModel, assumptions: Assumptions) -> FinanceStudy:
    """A build with everything in it, and the ledger of the recorded incident."""
    model = tiny_with_upkeep(loaded)
    positions = (base_position(), build_position())
    ledger = read_ledger("chatgpt-2023")
    other_usd = other_flows(OTHER, assumptions)
    return study_of_positions(model, positions, assumptions, other_usd, ledger, fleets(model))


def other_flows(known: Any, assumptions: Assumptions) -> Any:
    """Other cash flows up to the horizon."""
    years = assumptions.horizon_years
    found = np.zeros(years + 1)
    found[: len(known)] = known[: years + 1]
    return found


@pytest.fixture(scope="module")
def study(tiny: LoadedModel) -> FinanceStudy:
    """The study of the workbook that most tests read."""
    return study_of(tiny, MONEY)


@pytest.fixture(scope="module")
def content(study: FinanceStudy) -> bytes:
    """Its workbook."""
    return workbook_bytes(study)


@pytest.fixture(scope="module")
def long_content(tiny: LoadedModel) -> bytes:
    """The same with columns up to year 30."""
    return workbook_bytes(study_of(tiny, replace(MONEY, horizon_years=30)))


@pytest.fixture(scope="module")
def book(content: bytes) -> openpyxl.Workbook:
    """The same with formulas."""
    return openpyxl.load_workbook(io.BytesIO(content))


@pytest.fixture(scope="module")
def cached(content: bytes) -> openpyxl.Workbook:
    """The same with the values that formulas had when it was written."""
    return openpyxl.load_workbook(io.BytesIO(content), data_only=True)


def formulas(book: openpyxl.Workbook) -> Iterator[tuple[str, str, str]]:
    """Sheet, cell and text of every formula."""
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    yield sheet.title, cell.coordinate, str(cell.value)


class TestSafety:
    def test_names_with_formulas_stay_texts(self, book: openpyxl.Workbook) -> None:
        texts = [
            cell.value
            for sheet in book
            for row in sheet.iter_rows()
            for cell in row
            if cell.data_type == "s"
        ]

        assert EVIL in texts and "@SUM(1)" in texts and "=region()" in texts and "-x" in texts
        for _, _, text in formulas(book):
            assert "HYPERLINK('x')" not in text and "region()" not in text
            assert not text.startswith("=@")

    def test_no_links_and_no_code(self, content: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            assert not [one for one in parts.namelist() if "vba" in one or "external" in one]
            for one in parts.namelist():
                assert b"<hyperlink" not in parts.read(one)
                # A text of the model in a chart would be a reference that runs.
                assert b"<c:f>HYPERLINK" not in parts.read(one)

    def test_sheets_have_fair_names(self, book: openpyxl.Workbook) -> None:
        lowered = [name.lower() for name in book.sheetnames]

        assert len(set(lowered)) == len(lowered)
        assert all(0 < len(name) <= 31 and not FORBIDDEN.search(name) for name in book.sheetnames)
        assert book.sheetnames[:3] == ["Summary", "Assumptions", "Cash flow"]

    @given(st.lists(st.text(max_size=40), max_size=6))
    def test_sheet_names(self, texts: list[str]) -> None:
        taken: dict[str, None] = {}
        for text in texts:
            name = sheet_name(text, taken)
            assert 0 < len(name) <= 31 and not FORBIDDEN.search(name)
            assert name.lower() not in taken and name.lower() != "history"
            assert name[0] not in "' " and name[-1] not in "' "
            taken[name.lower()] = None

    @given(st.lists(st.text(max_size=100), max_size=6))
    def test_range_names(self, texts: list[str]) -> None:
        taken: dict[str, None] = {}
        for text in texts:
            name = range_name(text, taken)
            assert re.fullmatch(r"[a-z_][a-z0-9_]{0,100}", name) and name not in taken
            # Neither a cell (A1, XFD9) nor a row or column (r1c1, c).
            assert not re.fullmatch(r"[a-z]{1,3}[0-9]+|r[0-9]*c?[0-9]*|c[0-9]*", name)
            taken[name] = None

    def test_any_names_of_builds(self, tiny: LoadedModel) -> None:
        names = ["[a]:b*?/\\", "a" * 60, "a" * 60 + ".", "'History'"]
        builds = [
            replace(build_position(name), purchases=build_position().purchases[:1])
            for name in names
        ]
        short = replace(MONEY, horizon_years=2)
        study = study_of_positions(tiny.model, (base_position(), *builds), short)
        found = openpyxl.load_workbook(io.BytesIO(workbook_bytes(study)))

        shown = [
            cell.value for cell in found["Assets"]["A"] if str(cell.value).startswith("Bought")
        ]
        assert shown[1:] == [f"Bought: {name}" for name in names]
        assert len(found.sheetnames) == len(set(found.sheetnames)) == 11


class TestBook:
    def test_the_same_study_gives_the_same_bytes(self, study: FinanceStudy, content: bytes) -> None:
        assert workbook_bytes(study) == content

    def test_formulas_can_be_read_and_need_no_new_functions(self, book: openpyxl.Workbook) -> None:
        functions = set()
        count = 0
        for _, _, text in formulas(book):
            tokens = Tokenizer(text).items
            assert not [one for one in tokens if one.type == "OPERAND" and one.subtype == "ERROR"]
            functions |= {
                one.value.split(":")[-1]
                for one in tokens
                if one.subtype == "OPEN" and one.type == "FUNC"
            }
            count += 1

        known = "ABS AND IF IFERROR INDEX INT IRR ISNUMBER MATCH MAX MIN MIRR NPV PMT"
        known += " SIGN SUM SUMIFS SUMPRODUCT"
        assert functions == {f"{name}(" for name in known.split()}
        assert 1_000 < count < 2_000

    def test_only_what_a_reviewer_changes_is_live(self, book: openpyxl.Workbook) -> None:
        live = {sheet for sheet, _, _ in formulas(book)}

        assert live == {"Summary", "Cash flow", "Assets", "Running costs", "Asset flows"}

    def test_no_format_scales_what_a_cell_holds(self, book: openpyxl.Workbook) -> None:
        formats = {
            cell.number_format for sheet in book for row in sheet.iter_rows() for cell in row
        }

        assert not [shown for shown in formats if ",," in shown or shown.endswith(",")]
        assert not [name for name in book.sheetnames if book[name].max_row < 5]

    def test_losses_of_builds_look_like_money_and_counts_do_not(
        self, book: openpyxl.Workbook
    ) -> None:
        for name, place in book.defined_names.items():
            of_build = re.match(
                r"(loss_(?:value|credits|emergency)_usd|gpus|requests_per_year)_", name
            )
            if of_build:
                ((sheet, at),) = place.destinations
                decimals = ".00" in book[sheet][at.replace("$", "")].number_format
                assert decimals == of_build[1].startswith("loss"), name

    def test_a_build_without_losses_has_no_curve_and_the_others_keep_theirs(
        self, tiny: LoadedModel, study: FinanceStudy
    ) -> None:
        calm = loss_profile(tiny.model, occurrences_of(tiny.model, 0.0), resamples=2)
        first, *others = study.valued
        content = workbook_bytes(replace(study, valued=(replace(first, profile=calm), *others)))
        risk = openpyxl.load_workbook(io.BytesIO(content))["Risk"]
        heads = [cell.value for row in risk.iter_rows() for cell in row if cell.value]
        curves = [text for text in heads if str(text).endswith(": loss, USD")]
        assert curves == [f"{build.build.name}: loss, USD" for build in others]

    def test_no_value_is_an_error_or_infinite(self, cached: openpyxl.Workbook) -> None:
        for sheet in cached:
            for row in sheet.iter_rows():
                for cell in row:
                    assert cell.data_type != "e", (sheet.title, cell.coordinate)
                    if isinstance(cell.value, float):
                        assert np.isfinite(cell.value), (sheet.title, cell.coordinate)

    def test_every_input_has_a_name(self, book: openpyxl.Workbook) -> None:
        named = {
            place.replace("$", "")
            for name in book.defined_names.values()
            for sheet, place in name.destinations
            if sheet == "Assumptions"
        }
        ranges = [place.split(":") for place in named if ":" in place]
        (ends,) = ranges
        inputs = [
            cell
            for row in book["Assumptions"].iter_rows(min_row=4)
            for cell in row
            if cell.fill.fgColor.rgb == "FFFFF6D5"
        ]

        assert len(inputs) > 60
        for cell in inputs:
            inside = ends[0][0] == cell.column_letter and (
                int(ends[0][1:]) <= cell.row <= int(ends[1][1:])
            )
            assert cell.coordinate in named or inside
            assert cell.data_type in "ns"

    def test_every_input_is_used(self, book: openpyxl.Workbook) -> None:
        written = " ".join(text for _, _, text in formulas(book))
        used = set(re.findall(r"[a-z_][a-z0-9_]*", written))
        inputs = {
            name
            for name, one in book.defined_names.items()
            if next(iter(one.destinations))[0] == "Assumptions"
        }

        # Salvage and life of what is only kept or sold have nothing to do.
        assert {
            one for one in inputs - used if not one.startswith(("salvage_", "life_", "upkeep_"))
        } == set()

    def test_names_lead_to_cells(self, book: openpyxl.Workbook) -> None:
        for name in book.defined_names:
            assert cells_of(book, name)[0] in book.sheetnames, name

    def test_the_workbook_has_line_bar_and_scatter_charts(self, content: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            charts = [parts.read(one) for one in parts.namelist() if "charts/chart" in one]

        assert len(charts) == 4
        kinds = (b"<c:lineChart>", b"<c:barChart>", b"<c:scatterChart>")
        assert all(any(kind in chart for chart in charts) for kind in kinds)

    def test_sheets_have_print_layout_and_input_checks(self, book: openpyxl.Workbook) -> None:
        for sheet in book:
            assert sheet.page_setup.orientation == "landscape"
            assert sheet.page_setup.fitToHeight == (None if sheet.title == "Tax tables" else 0)
        assert book["Assumptions"].freeze_panes == "B4"
        assert book["Cash flow"].freeze_panes == "D5"
        assert book["Cash flow"].print_title_rows == "$4:$4"
        rate = book["Assumptions"]["B6"]
        assert rate.value == 0.09 and rate.number_format == "0.00%"
        rules = {str(one.sqref): one for one in book["Assumptions"].data_validations.dataValidation}
        method = book.defined_names["depreciation"].attr_text.split("!")[1].replace("$", "")
        assert rules[method].formula1 == '"straight-line,macrs"'

    def test_build_that_exists_alone(self, tiny: LoadedModel) -> None:
        alone = study_of_positions(tiny.model, (base_position(),), MONEY)

        found = openpyxl.load_workbook(io.BytesIO(workbook_bytes(alone)))

        assert [cell.value for cell in found["Summary"][6]][:3] == ["Measure", "Unit", "as it was"]
        assert "Sensitivity" not in found.sheetnames

    def test_build_without_running_costs(
        self, tiny: LoadedModel, capsys: pytest.CaptureFixture[str]
    ) -> None:
        base, build = (replace(one, running=()) for one in (base_position(), build_position()))
        free = study_of_positions(tiny.model, (base, build), MONEY)

        found = openpyxl.load_workbook(io.BytesIO(workbook_bytes(free)))
        show_finance(free, as_json=False)

        assert "Cash flow" in found.sheetnames
        assert "opex" not in capsys.readouterr().out.split("Cash flow after tax")[1].split("\n")[1]
        assert finance(free).sentences

    @pytest.mark.parametrize(
        ("flows", "others"),
        [((-1_600.0, 10_000.0, -10_000.0), True), ((-1_600.0, 900.0, 900.0), False)],
    )
    def test_several_rates_are_said_where_there_may_be_several(
        self, tiny: LoadedModel, flows: tuple[float, ...], others: bool
    ) -> None:
        """The oil pump of Lorie and Savage (1955), 25 % and 400 %, and a flow with one rate."""
        terms = Assumptions(discount_rate=0.1, horizon_years=2, tax_rate=0.0)
        nothing = Position("as it was", (), (), Losses(), 0, 0.0)
        builds = (nothing, replace(nothing, name="pump"))
        study = study_of_positions(tiny.model, builds, terms, np.array(flows))

        book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(study)), data_only=True)

        rows = book["Cash flow"].iter_rows()
        said = " ".join(str(cell.value) for row in rows for cell in row if cell.value)
        two = "2 rates make the net present value zero (25.00 %, 400.00 %)"
        assert (two in said) == ("there may be other rates" in said) == others

    def test_upkeep_follows_prices(self, book: openpyxl.Workbook) -> None:
        rows = [row for row in book["Running costs"].iter_rows() if row[1].value == "upkeep"]
        row = rows[0]

        assert row[3].value == 1_000
        assert row[5].value == "=price_servers_accelerator*upkeep_servers_accelerator"


class TestWriting:
    def test_the_workbook_is_written_to_a_file(
        self, study: FinanceStudy, content: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "book.xlsx"
        path.write_text("old", encoding="utf-8")

        write_workbook(study, path)

        assert path.read_bytes() == content
        assert [one.name for one in tmp_path.iterdir()] == ["book.xlsx"]

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("nowhere/book.xlsx", "is not a writable folder"),
            ("book.xls", "ends in .xlsx"),
            ("folder.xlsx", "is a folder"),
        ],
    )
    def test_an_unwritable_path_is_refused(
        self, study: FinanceStudy, tmp_path: Path, name: str, problem: str
    ) -> None:
        (tmp_path / "folder.xlsx").mkdir()

        with pytest.raises(InputError, match=problem):
            write_workbook(study, tmp_path / name)


# ---------------------------------------------------------------------------------- recalculation


@dataclass(frozen=True)
class Case:
    """A change of inputs in the book, and the same change in Python."""

    inputs: dict[str, Any] = field(default_factory=dict)
    assumptions: Assumptions = MONEY
    build: Position = field(default_factory=build_position)
    base: Position = field(default_factory=base_position)
    other_usd: Any = field(default_factory=lambda: OTHER)

    def appraisals(self) -> dict[str, BuildAppraisal]:
        """What Python makes of it."""
        other_usd = other_flows(self.other_usd, self.assumptions)
        found = (
            appraise(self.base, one, self.assumptions, other_usd) for one in (self.base, self.build)
        )
        return dict(zip(("as it was", "evil"), found, strict=True))


def under(**changes: Any) -> Case:
    """Other terms of money, by the names they have in both."""
    lives = {
        key.removeprefix("tax_life_"): value for key, value in changes.items() if "life" in key
    }
    rest = {key: value for key, value in changes.items() if "life" not in key}
    # Building and power have one life in the model.
    if "building" in lives:
        changes["tax_life_power"] = lives["building"]
    lives = {{"servers": "gpus", "building": "facility"}.get(k, k): v for k, v in lives.items()}
    return Case(changes, replace(MONEY, **rest, tax_lives=TaxLives(**lives)))


def repriced(**changes: Any) -> Case:
    """GPUs at another price, with another life and upkeep; other losses, electricity, a flow.

    And other terms of money, by the names they have in both.
    """
    price, life, share = 23_456.78, 3.2, 0.05
    first, *rest = build_position().purchases
    of_gpus, *others = build_position().running
    bought = (replace(first, usd_each=price, life_years=life), *rest)
    build = replace(
        build_position(),
        purchases=bought,
        held=(replace(IN_PLACE, usd_each=price, life_years=life), build_position().held[1]),
        running=(
            replace(of_gpus, usd_per_year=1_300 * price * share),
            *(
                replace(one, usd_per_year=one.usd_per_year * 1.5)
                if one.category == "energy"
                else one
                for one in others
            ),
        ),
        losses=Losses(77_777.77, 2_000.0, 40_000.0),
    )
    old, power, transport = base_position().running
    base = replace(
        base_position(),
        held=(replace(IN_PLACE, usd_each=price, life_years=life), OLD_CHILLERS),
        running=(
            replace(old, usd_per_year=1_000 * price * share),
            replace(power, usd_per_year=power.usd_per_year * 1.5),
            transport,
        ),
    )
    other_usd = OTHER.copy()
    other_usd[3] = 1_000_000.0
    inputs = changes | {
        "price_servers_accelerator": price,
        "life_servers_accelerator": life,
        "upkeep_servers_accelerator": share,
        "rate_energy_electricity_in_west": 80.0 * 1.5,
        "loss_value_hyperlink_x_1": 77_777.77,
        "other_flows": [(3, 1_000_000.0)],
    }
    return Case(inputs, replace(MONEY, **changes), build, base, other_usd)


CASES = {
    "delivered": Case(),
    "all dearer": repriced(
        discount_rate=0.123,
        horizon_years=23,
        tax_rate=0.31,
        inflation_per_year=0.035,
        electricity_inflation_per_year=0.06,
        demand_growth_per_year=-0.04,
        gpu_price=1.3,
        cooling_price=0.6,
        failure_rate=2.5,
        outage_value=0.7,
        surge=3.0,
    ),
    "accelerated": under(
        discount_rate=-0.02,
        depreciation="macrs",
        horizon_years=30,
        tax_life_servers=3,
        tax_life_building=39,
        tax_life_cooling=20,
        tax_life_measures=7,
    ),
    "nothing fails": under(
        discount_rate=0.0, horizon_years=1, inflation_per_year=0.0, tax_rate=0.0, failure_rate=0.0
    ),
}

ROWS = {
    "Capital": lambda flow: flow.capital,
    "Sales and value at the horizon": lambda flow: flow.salvage,
    "Depreciation": lambda flow: flow.depreciation,
    "Book value of what is sold": lambda flow: flow.book_value,
    "Tax": lambda flow: flow.tax,
    "Net cash flow": lambda flow: flow.net,
}


@pytest.mark.skipif(
    office() is not None and not THOROUGH, reason="LibreOffice calculates it: TestRecalculated"
)
@pytest.mark.parametrize("name", ["accelerated", *often([], ["all dearer"])])
def test_calculated_without_an_office(long_content: bytes, name: str) -> None:
    """Purchases, depreciation and cash flows follow inputs, also without LibreOffice."""
    data = CASES[name]
    flow = data.appraisals()["evil"].cash_flow
    assert flow is not None
    found = Calculator(openpyxl.load_workbook(io.BytesIO(long_content)), data.inputs)

    for label, values in ROWS.items():
        row = np.array(found.row(EVIL, label))
        assert np.abs(row[: len(values(flow))] - values(flow)).max() < CENT, label
        assert not row[len(values(flow)) :].any(), label
    for build, appraisal in data.appraisals().items():
        suffix = "as_it_was" if build == "as it was" else "hyperlink_x_1"
        assert abs(found.named(f"capital_{suffix}") - appraisal.capital_usd) < CENT
        assert abs(found.named(f"owning_{suffix}") - appraisal.owning_usd_per_year) < CENT


needs_office = pytest.mark.skipif(
    office() is None, reason="LibreOffice (soffice) is not installed: nothing to recalculate with"
)


@pytest.fixture(scope="module")
def books(
    content: bytes, long_content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Values]:
    """The book under every change, worked out anew in one start of LibreOffice."""
    folder = tmp_path_factory.mktemp("books")
    original, long = folder / "original.xlsx", folder / "long.xlsx"
    original.write_bytes(content)
    long.write_bytes(long_content)
    paths = {
        name: changed(
            original if data.assumptions.horizon_years <= COLUMNS else long,
            folder / f"{name}.xlsx",
            data.inputs,
        )
        for name, data in CASES.items()
        if name != "delivered"
    }
    paths["delivered"] = folder / "delivered.xlsx"
    _spoil(original, paths["delivered"])
    found = recalculated(list(paths.values()), folder)
    return dict(zip(paths, map(Values, found), strict=True))


def _spoil(path: Path, to: Path) -> None:
    """Put wrong values beside formulas whose inputs stay."""
    with zipfile.ZipFile(path) as parts, zipfile.ZipFile(to, "w") as out:
        for name in parts.namelist():
            text = parts.read(name)
            if name.startswith("xl/worksheets/sheet"):
                text = re.sub(rb"(</f>)<v>[-.0-9e+]*</v>", rb"\1<v>-4711</v>", text)
            out.writestr(name, text)


@needs_office
class TestRecalculated:
    def test_every_formula_has_the_value_it_was_written_with(
        self, books: dict[str, Values], book: openpyxl.Workbook, cached: openpyxl.Workbook
    ) -> None:
        """The values were spoiled, so the office has to have worked them out."""
        count = 0
        for sheet, place, text in formulas(book):
            now, then = books["delivered"].book[sheet][place].value, cached[sheet][place].value
            count += 1
            where = (sheet, place, text)
            if isinstance(then, int | float):
                assert abs(now - then) < CENT, where
                assert now == pytest.approx(then, rel=1e-6, abs=1e-6), where
            else:
                assert (now or "") == (then or ""), where
        assert count > 1_000

    @pytest.mark.parametrize("name", CASES)
    def test_cash_flows_to_the_cent(self, books: dict[str, Values], name: str) -> None:
        flow = CASES[name].appraisals()["evil"].cash_flow
        assert flow is not None
        rows = {
            "Capital": flow.capital,
            "Sales and value at the horizon": flow.salvage,
            **{f"Running cost saved: {key}": value for key, value in flow.running.items()},
            "Lost-request value avoided": flow.avoided["value"],
            "Service credits avoided": flow.avoided["credits"],
            "Emergency spend avoided": flow.avoided["emergency"],
            "Other cash flows": flow.other_usd,
            "Net cash flow before tax": flow.before_tax,
            "Depreciation": flow.depreciation,
            "Book value of what is sold": flow.book_value,
            "Tax": flow.tax,
            "Net cash flow": flow.net,
        }
        for label, values in rows.items():
            found = np.array(books[name].row(EVIL, label), dtype=float)
            assert np.abs(found[: len(values)] - values).max() < CENT, label
            assert not found[len(values) :].any(), label

    @pytest.mark.parametrize("name", CASES)
    def test_measures(self, books: dict[str, Values], name: str) -> None:
        for build, appraisal in CASES[name].appraisals().items():
            suffix = "as_it_was" if build == "as it was" else "hyperlink_x_1"

            def of(key: str, suffix: str = suffix) -> Any:
                return books[name].named(f"{key}_{suffix}")

            owned, returns = appraisal.ownership, appraisal.returns
            assert abs(of("capital") - appraisal.capital_usd) < CENT
            assert abs(of("owning") - appraisal.owning_usd_per_year) < CENT
            assert abs(of("total_cost_of_ownership") - owned.present_usd) < CENT
            assert abs(of("equivalent_annual_cost") - owned.usd_per_year) < CENT
            assert of("usd_per_gpu") == pytest.approx(owned.usd_per_gpu)
            assert of("usd_per_million_requests") == pytest.approx(owned.usd_per_million_requests)
            if returns is None:
                continue
            assert abs(of("npv") - returns.npv_usd) < CENT
            assert abs(of("present_benefits") - returns.present_benefits_usd) < CENT
            assert abs(of("present_costs") - returns.present_costs_usd) < CENT
            for key, value, none in (
                ("mirr", returns.mirr, "none"),
                ("payback", returns.payback_years, "never"),
                ("discounted_payback", returns.discounted_payback_years, "never"),
                ("benefit_cost_ratio", returns.benefit_cost_ratio, "none"),
                ("roi", returns.roi, "none"),
                ("undiscounted_roi", returns.undiscounted_roi, "none"),
            ):
                assert of(key) == (none if value is None else pytest.approx(value, abs=1e-8)), key
            if returns.irr.rates:
                assert min(abs(of("irr") - rate) for rate in returns.irr.rates) < 1e-6
            else:
                assert of("irr") == "none"

    def test_cases_tell_measures_apart(self) -> None:
        """The changes are of use only if they change something, and reach the odd ends."""
        found = {name: data.appraisals()["evil"].returns for name, data in CASES.items()}
        worth = [one.npv_usd for one in found.values() if one is not None]
        paid = [one.payback_years for one in found.values() if one is not None]

        horizons = {data.assumptions.horizon_years for data in CASES.values()}

        assert min(horizons) < COLUMNS < max(horizons)
        assert len({round(one) for one in worth}) == len(CASES)
        assert None in paid and any(one is not None and one > 1 for one in paid)

    def test_live_check_of_inputs(self, books: dict[str, Values]) -> None:
        def said(name: str) -> Any:
            rows = books[name].book["Summary"].iter_rows(values_only=True)
            return next(row[1] for row in rows if row[0] == "Inputs")

        assert said("delivered") == "as delivered"
        assert said("all dearer").startswith("changed")

    def test_purchases_beyond_their_tax_life(self) -> None:
        """Depreciation of an asset bought anew begins anew."""
        one = build_position().purchases[0]
        flows = asset_flows(one, CASES["accelerated"].assumptions)

        # Half-year convention: a tax life of 3 years is over in the fourth. A life of 4.5 ends
        # within the fifth, which has the first share of the next piece; that is written off by the
        # eighth. The third piece, bought at the end of the ninth, has its first share after it.
        again = flows.capital[4] + flows.capital[5]
        assert flows.depreciation[4] == pytest.approx(0.0741 * one.usd)
        assert flows.depreciation[5] == pytest.approx(0.3333 * again)
        assert flows.depreciation[8] == pytest.approx(0.0741 * again)
        assert flows.depreciation[9] == 0
        assert flows.depreciation[10] == pytest.approx(0.3333 * flows.capital[9])
