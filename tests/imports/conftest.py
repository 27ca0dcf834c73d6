"""What a running NetBox 4.7 returned for a small estate, and the totals worked out from it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support import NETBOX


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive unpacked."""
    folder = tmp_path_factory.mktemp("netbox")
    with zipfile.ZipFile(NETBOX) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def export(archive: Path) -> Path:
    """Folder of an export."""
    return archive / "export"


@pytest.fixture(scope="session")
def expected(archive: Path) -> Any:
    """Totals and flaws of the estate."""
    return json.loads((archive / "expected.json").read_bytes())
