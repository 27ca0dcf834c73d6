"""Write real output into README, quick start and pages of imports: ``python docs/readme.py``.

Blocks stand between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. Tests check that they say
what a run says, but for seconds.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path

import planner
from planner.commands import main as plan
from planner.finance.builds import Build, purchases
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, cooling_mw
from planner.infrastructure.loading import load_model
from planner.plan.files import read_plan
from planner.selection import select
from planner.simulation.verdict import judge, surviving_share

README = Path(__file__).resolve().parents[1] / "README.md"
QUICKSTART = Path(__file__).with_name("quickstart.md")
#: A page for each source of imports.
IMPORTS = tuple(Path(__file__).parent.glob("imports-*.md"))
EXPORT = README.parent / "tests" / "imports" / "netbox-4.7.zip"
#: Export of each source, and the part of what is printed that its page shows; all if empty.
EXPORTS = {
    "netbox": ("export", ""),
    "kubernetes": ("nodes-and-pods.json", "Suspect: "),
    "terraform": ("plan.json", "Left out: "),
    "prometheus": ("measured", "Inventory, "),
}
OPTIMIZE = ("optimize", "-o", "out")
REPLAY = ("replay", "chatgpt-2023")
EXPLAIN = ("explain", "tiny-plan/plan.json")
FRONTIER = ("frontier", "tiny", "--by", "classes")
FINANCE = ("finance", "tiny", "--plan", "tiny-plan", "--samples", "50")
INFEASIBLE = ("optimize", "tiny", "--capital-budget", "20M")
STORY = ("simulate", "chatgpt-2023", "--scenario", "incident-2023")


def run(*arguments: str, folder: Path) -> str:
    """What ``plan`` prints at 80 columns, run in a folder."""
    output, before = io.StringIO(), Path.cwd()
    os.environ["COLUMNS"] = "80"
    os.chdir(folder)
    try:
        with redirect_stdout(output), redirect_stderr(io.StringIO()):
            plan(list(arguments))
    except SystemExit:
        pass
    finally:
        os.chdir(before)
    text = "\n".join(line.rstrip() for line in output.getvalue().rstrip().split("\n"))
    return f"```console\n$ plan {' '.join(arguments)}\n{text}\n```"


def comparison(plan_file: Path) -> str:
    """The table of the three builds."""
    loaded, recommended = load_model("chatgpt-2023"), load_model("chatgpt-2023-v2").model
    was = loaded.model
    bought = read_plan(plan_file, loaded)
    columns = [
        _column(was, Fleet.existing(was), "0"),
        _column(recommended, Fleet.existing(recommended), _recommended_capital(was, recommended)),
        _column(was, bought.fleet(was), f"{bought.cost.capital_usd / 1e6:,.0f}"),
    ]
    lines = ["| | as it was | as recommended | as optimised |", "|---|---:|---:|---:|"]
    for label in columns[0]:
        lines.append(f"| {label} | " + " | ".join(column[label] for column in columns) + " |")
    return "\n".join(lines)


def _column(model: Model, fleet: Fleet, capital: str) -> dict[str, str]:
    verdicts = judge(model, fleet, select(model).scenarios)
    survived = sum(verdict.survives for verdict in verdicts)
    judged = survived + sum(verdict.fails for verdict in verdicts)
    instances = {o: n * model.offers[o].gpus_per_instance for o, n in fleet.instances.items()}
    regions = {model.clusters[c].region for c, n in fleet.gpus.items() if n}
    return {
        "GPUs": f"{sum(fleet.gpus.values()):,}",
        "regions with GPUs": f"{len(regions)}",
        "primary cooling, MW": f"{_cooling(model, fleet, 'primary'):,.0f}",
        "emergency cooling, MW": f"{_cooling(model, fleet, 'emergency'):,.0f}",
        "emergency GPUs under contract": f"{sum(instances.values()):,}",
        "capital to build it, M USD": capital,
        "GPUs left when us-west is lost": f"{surviving_share(model, fleet, 'us-west'):.1%}",
        "scenarios survived": f"{survived} of {judged}",
    }


def _cooling(model: Model, fleet: Fleet, role: str) -> float:
    return cooling_mw(model, fleet, (n for n, plant in model.plants.items() if plant.role == role))


def _recommended_capital(was: Model, recommended: Model) -> str:
    """What the recommended build costs at the prices of the model, and as printed."""
    builds = [Build(model.name, model, Fleet.existing(model), ()) for model in (was, recommended)]
    total = sum(line.usd for line in purchases(*builds))
    return f"{total / 1e6:,.0f} (1,150 as printed)"


def filled(text: str, folder: Path) -> str:
    """README text with every block run anew; plans are written below a folder."""
    blocks = {"optimize": run(*OPTIMIZE, folder=folder), "story": run(*STORY, folder=folder)}
    blocks["replay"] = _without_notes(run(*REPLAY, folder=folder))
    blocks["comparison"] = comparison(folder / "out" / "plan.json")
    blocks["versions"] = (
        f"Printed by version {planner.__version__} with HiGHS {version('highspy')}."
    )
    run("optimize", "tiny", "-o", "tiny-plan", folder=folder)
    blocks["explain"] = _part(run(*EXPLAIN, folder=folder), "What each scenario costs")
    blocks["frontier"] = _part(run(*FRONTIER, folder=folder), "What survivability costs")
    blocks["finance"] = _part(run(*FINANCE, folder=folder), "Side by side")
    blocks["infeasible"] = run(*INFEASIBLE, folder=folder)
    return _with_blocks(text, blocks)


def filled_quickstart(text: str, folder: Path) -> str:
    """Text of the quick start with its blocks run anew on the smallest model."""
    return _with_blocks(text, {"tiny": run("optimize", "tiny", "-o", "out", folder=folder)})


def filled_imports(text: str, folder: Path) -> str:
    """Text of the page of a source with its block run anew, on the exports of the tests."""
    lay_out(folder)
    (name,) = re.findall("<!-- begin (.*) -->", text)
    file, part = EXPORTS[name]
    printed = run("import", name, file, folder=folder)
    return _with_blocks(text, {name: _part(printed, part) if part else printed})


def lay_out(folder: Path) -> None:
    """Put the exports of the tests into a folder, with the names of the page."""
    with zipfile.ZipFile(EXPORT) as packed:
        packed.extractall(folder)
    shutil.copytree(EXPORT.with_name("prometheus"), folder / "measured")
    shutil.copy(EXPORT.with_name("kubernetes.json"), folder / "nodes-and-pods.json")
    shutil.copy(EXPORT.with_name("terraform-plan.json"), folder / "plan.json")


def _with_blocks(text: str, blocks: dict[str, str]) -> str:
    """Text with what stands in blocks replaced."""
    for name, block in blocks.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        text, count = re.subn(
            pattern, lambda m, b=block: f"{m[1]}{b}\n{m[2]}", text, count=1, flags=re.DOTALL
        )
        if not count:
            raise SystemExit(f"the page has no block `{name}`")
    return text


def _part(output: str, title: str) -> str:
    """Output with only the section under a title, from an empty line to the next."""
    command, rest = output.split("\n$ ")[1].split("\n", maxsplit=1)
    sections = rest.removesuffix("\n```").split("\n\n")
    (found,) = [section for section in sections if title in section]
    shown = [found] if found is sections[0] else ["...", found]
    return "\n".join(["```console", f"$ {command}", *shown, "...", "```"])


def _without_notes(output: str) -> str:
    """Output of a replay with its table and summary, without notes, parameters and chart."""
    table, notes = output.split("\n\nOn the record\n", maxsplit=1)
    return f"{table}\n\n...\n\n{notes.rsplit('\n\n', maxsplit=1)[1]}"


def block(text: str, name: str) -> str:
    """What stands in a block."""
    found = re.search(rf"<!-- begin {name} -->\n(.*?)\n<!-- end {name} -->", text, re.DOTALL)
    return found[1] if found else ""


def main() -> None:
    """Rewrite the README, the quick start and the pages of imports, or only some of them."""
    import tempfile

    pages = {README: filled, QUICKSTART: filled_quickstart}
    pages |= dict.fromkeys(IMPORTS, filled_imports)
    if sys.argv[1:]:
        pages = {page: fill for page, fill in pages.items() if page.stem in sys.argv[1:]}
    for page, fill in pages.items():
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(fill(page.read_text("utf-8"), Path(folder)), "utf-8")


if __name__ == "__main__":
    main()
