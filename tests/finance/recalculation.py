"""Workbooks worked out anew by LibreOffice, without a screen."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl

#: Without this, LibreOffice shows the values that stand in a file.
ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop>
</item>
</oor:items>
"""
LIMIT_SECONDS = 180


def office() -> str | None:
    """Program of LibreOffice; None if it is not installed."""
    return shutil.which("soffice") or shutil.which("libreoffice")


def recalculated(books: Sequence[Path], folder: Path) -> list[Path]:
    """Books with every formula worked out anew, in one start of LibreOffice."""
    program = office()
    assert program is not None
    profile, out = folder / "profile", folder / "recalculated"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(ALWAYS, encoding="utf-8")
    run = subprocess.run(
        [
            program,
            f"-env:UserInstallation={profile.absolute().as_uri()}",
            "--headless",
            "--norestore",
            "--convert-to",
            "xlsx",
            "--outdir",
            str(out),
            *map(str, books),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    found = [out / book.name for book in books]
    missing = [book.name for book in found if not book.is_file()]
    assert not missing, f"{missing}: {run.stdout}{run.stderr}"
    return found


class Values:
    """Values of a book, by sheet and cell or by named range."""

    def __init__(self, path: Path) -> None:
        self.book = openpyxl.load_workbook(path, data_only=True)

    def named(self, name: str) -> Any:
        """Value of a named cell."""
        sheet, place = cells_of(self.book, name)
        return self.book[sheet][place].value

    def row(self, build: str, label: str) -> list[Any]:
        """Values by year of the row with a label in the cash flow of a build."""
        row = cash_flow_row(self.book, build, label)
        return [cell.value for cell in self.book["Cash flow"][row][3:]]


def cash_flow_row(book: openpyxl.Workbook, build: str, label: str) -> int:
    """Number of the row with a label under the head of the cash flow of a build."""
    labels = [cell.value for cell in book["Cash flow"]["A"]]
    return labels.index(label, labels.index(f"Cash flow: {build}")) + 1


def cells_of(book: openpyxl.Workbook, name: str) -> tuple[str, str]:
    """Sheet and cells of a named range; openpyxl leaves quotes of sheets as they are written."""
    ((sheet, place),) = book.defined_names[name].destinations
    return sheet.replace("''", "'"), place.replace("$", "")


def changed(path: Path, to: Path, values: dict[str, Any]) -> Path:
    """A book with other values in named cells, which the formulas have not followed yet.

    Of a range of several cells, some may be given as pairs of their place from 0 and their value.
    """
    book = openpyxl.load_workbook(path)
    for name, value in values.items():
        sheet, place = cells_of(book, name)
        if isinstance(value, list):
            for index, one in value:
                book[sheet][place][index][0].value = one
        else:
            book[sheet][place].value = value
    book.save(to)
    return to
