"""What the documentation says is so: links, commands, models, formulas, the reference.

Commands of a page run in order in one folder, in this process, on cuts of the shipped models. A
YAML block whose first line is a comment with a file name is written to that file; others are
validated as a model of their own or as a part of `tiny`. Blocks that install or clone are only
read, and so is a block under ``<!-- not run: reason -->``.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import importlib.util
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support import CHECKOUT

from planner.commands import COMMANDS, cli, main
from planner.infrastructure import catalogue, loading
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import FamilyTerms
from planner.infrastructure.field_types import SECTIONS
from planner.infrastructure.loading import load_model
from planner.infrastructure.source import parse_yaml
from planner.replay.incident import Incident

DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "datasets" / "README.md", *sorted(DOCS.glob("*.md"))]
#: Beginnings of commands that are not run; what they name must exist all the same.
READ_ONLY = {"python", "python3", "pip", "pytest", "git", "cd", ".", "source", "eval"}
#: A plan or model may fail or have no plan on a page; a mistake in the input or an error may not.
ANSWERS = {0, 3, 4}
#: Keys of files that are no models.
OF_PIPELINES = {"on", "jobs", "stages", "script", "image", "include"}

#: Families that cuts of the shipped models keep.
KEPT = ("unit", "region")
#: Commands that a page takes for granted.
BEFORE = {"finance.md": ["optimize", "chatgpt-2023", "-o", "out"]}
#: Options of pytest itself that pages speak of.
OF_PYTEST = {"--lf", "--dist", "--junitxml"}
#: Pages that name failures which cuts do not keep.
WHOLE = {"pytest.md", "roadmap.md"}
#: Pages on which the smallest model stands in for all.
SMALLEST = {"README.md", "finance.md"}
#: Options that are added where a page does not have them: less exact, and quick.
SHORT = {
    "finance": {"--samples": "10"},
    "report": {"--samples": "10"},
    "roadmap": {"--gap": "0.01", "--delays": "0"},
}


def cut(model: Model) -> dict[str, Any]:
    """What makes a model small in hours: few failures, soon repaired, a short horizon."""
    families = {
        name: None if name not in KEPT else {"severity": terms.severity, "repair_hours": 0.2}
        for name in type(model.generators).model_fields
        if isinstance(terms := getattr(model.generators, name), FamilyTerms)
    }
    for name in set(families) & {"region"}:
        families[name] = {**(families[name] or {}), "frequency_per_year": 0.05}
    return {
        "simulation": {"horizon_minutes": 35.0},
        "cooling_units": {name: {"repair_hours": 0.2} for name in model.cooling_units},
        "feeds": {name: {"failures_per_year": 0.0} for name in model.feeds},
        "generators": families,
        "scenarios": {
            name: {
                "events": [
                    event.model_dump(mode="json") | {"repair_minutes": 12.0} for event in one.events
                ]
            }
            for name, one in model.scenarios.items()
        },
    }


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, but those of the README that `test_readme` runs."""
    found, before, written = list[Block](), "", False
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        written = (written or line.startswith("<!-- begin ")) and not line.startswith("<!-- end ")
        if line.startswith("```"):
            text = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                text.append(inner)
            reason = re.match(r"<!-- not run: (.+) -->", before)
            if not written or page.name != "README.md":
                why = reason[1] if reason else ""
                found.append(Block(page, number, line[3:], "\n".join(text) + "\n", why))
        elif line.strip():
            before = line
    return found


def identity(page: Path) -> str:
    """Name of a page in the output of a test."""
    return str(page.relative_to(CHECKOUT))


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that stand in for shipped models."""
    folder, shipped = tmp_path_factory.mktemp("cuts"), catalogue.shipped_models()
    found = dict(shipped)
    for name in ("tiny", "chatgpt-2023", "chatgpt-2023-v2"):
        found[name] = folder / f"{name}.yaml"
        text = json.dumps({"extends": str(shipped[name]), **cut(load_model(name).model)})
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def smallest(cuts: dict[str, Path]) -> dict[str, Path]:
    """The smallest model for all; what is recommended has more GPUs than what exists."""
    larger = cuts["tiny"].with_name("larger.yaml")
    text = f"extends: {cuts['tiny']}\nclusters: {{east-gpus: {{existing_gpus: 900}}}}\n"
    larger.write_text(text, encoding="utf-8")
    return {**dict.fromkeys(cuts, cuts["tiny"]), "chatgpt-2023-v2": larger}


@pytest.fixture
def desk(
    tmp_path: Path,
    cuts: dict[str, Path],
    smallest: dict[str, Path],
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    each_simulation_once: None,  # noqa: ARG001
    each_sampling_once: None,  # noqa: ARG001
) -> Path:
    """Folder to run the commands of a page in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    files = smallest if page.name in SMALLEST else cuts
    if page.name not in WHOLE:
        monkeypatch.setattr(loading, "shipped_models", lambda: files)
    return tmp_path


def run(arguments: list[str], output: Path | None = None) -> tuple[int, str]:
    """Exit code and standard error of ``plan``."""
    # Roadmaps state what these options are for.
    stated = any(argument.endswith("roadmap.json") for argument in arguments)
    for option, value in SHORT.get(arguments[0], {}).items():
        if option not in arguments and not stated:
            arguments = [*arguments, option, value]
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main(arguments)
    if output is not None:
        output.write_text(out.getvalue(), encoding="utf-8")
    assert isinstance(end.value.code, int)
    return end.value.code, err.getvalue()


def commands(block: Block) -> Iterator[list[str]]:
    """Commands of a block as words; pipes and lists of commands are taken apart."""
    text = block.text.replace("\\\n", " ")
    lines = text.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def try_command(words: list[str], folder: Path) -> str:
    """What is wrong with a command, after running it if it is ours."""
    while re.fullmatch(r"\w+=\S*", words[0]):
        words = words[1:]
    words = [re.sub(r"^\.venv/bin/", "", words[0]), *words[1:]]
    if words[0] == "pytest" and ("--plan-model" in words or (folder / words[-1]).exists()):
        return try_pytest(words[1:], folder)
    if words[0] != "plan":
        files = [word for word in words[1:] if word.startswith("tests/")]
        missing = [one for one in files if not (CHECKOUT / one).exists()]
        known = words[0] in READ_ONLY
        return "" if known and not missing else f"unknown: {words[0]}, {missing}"
    output = None
    if {">", ">>"} & set(words):
        place = next(index for index, word in enumerate(words) if word in (">", ">>"))
        words, output = words[:place], folder / Path(words[place + 1]).name
    code, errors = run(words[1:], output)
    return "" if code in ANSWERS else f"`{' '.join(words)}` exits with {code}: {errors}"


def try_pytest(arguments: list[str], folder: Path) -> str:
    """What is wrong with a run of pytest with the plugin, in this process."""
    unused = ("cacheprovider", "hypothesispytest", "faulthandler", "unraisableexception")
    plugins = ["planner.pytest_plugin", *(f"no:{name}" for name in unused)]
    given = [word for name in plugins for word in ("-p", name)]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = pytest.main([*given, "--import-mode=importlib", f"--rootdir={folder}", *arguments])
    passed = code == 0 and " passed" in out.getvalue()
    return "" if passed else f"`pytest {' '.join(arguments)}`: {out.getvalue()}"


def try_yaml(block: Block, folder: Path) -> str:
    """What is wrong with a YAML block: a model, a part of one, or a file of something else."""
    data = parse_yaml(block.text.encode(), str(block)).data
    assert isinstance(data, dict)
    named = re.match(r"# ([\w.-]+\.ya?ml)\n", block.text)
    path = folder / (named[1] if named else f"block-{block.line}.yaml")
    own = {"extends", *SECTIONS} & set(data)
    whole = "extends" in data or {"regions", "gpus", "clusters", "tiers", "zones"} <= set(data)
    path.write_text(block.text if whole or not own else f"extends: tiny\n{block.text}", "utf-8")
    if own:
        load_model(path)
        return ""
    return "" if named or OF_PIPELINES & set(data) else f"{block} is no model, and has no name"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_block_of_a_page_works(page: Path, desk: Path) -> None:
    names: dict[str, Any] = {}
    problems: list[str] = []
    if page.name.startswith("imports"):
        script("readme").lay_out(desk)
    if page.name in BEFORE:
        problems.append(try_command(["plan", *BEFORE[page.name]], desk))
    for block in blocks(page):
        if block.reason:
            continue
        if block.language in ("sh", "console"):
            problems += [try_command(words, desk) for words in commands(block)]
        elif block.language == "yaml":
            problems.append(try_yaml(block, desk))
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "python" and block.text.startswith("# test_"):
            (desk / block.text[2:].split("\n")[0]).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        else:
            problems.append("" if block.language == "text" else f"{block}: {block.language!r}")
    assert not [one for one in problems if one]


def test_few_blocks_are_not_run() -> None:
    unrun = [str(block) for page in PAGES for block in blocks(page) if block.reason]
    assert len(unrun) <= 5


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def options(name: str) -> set[str]:
    """Options that a command takes."""
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    every = {"--help", *(word for one in command.params for word in one.opts)}
    return every | {word for one in command.params for word in one.secondary_opts}


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_commands_in_the_text_exist(page: Path) -> None:
    every = {option for name in COMMANDS for option in options(name)} | {"--version"}
    every |= plugin_options() | OF_PYTEST
    for text in re.findall(r"`([^`\n]+)`", prose(page)):
        words = re.findall(r"(?<![\w-])-{1,2}[a-z][a-z-]*|[^\s\[\]]+", text)
        if not words:
            continue
        if words[0] == "plan" and re.fullmatch("[a-z]+(-[a-z]+)*", " ".join(words[1:2])):
            assert words[1] in COMMANDS, f"{identity(page)}: {text}"
            used = {word for word in words if word.startswith("-")}
            assert used <= options(words[1]), f"{identity(page)}: {text}"
        elif words[0].startswith("--"):
            assert words[0] in every, f"{identity(page)}: {text}"


def plugin_options() -> set[str]:
    """Options of the pytest plugin, as its source names them."""
    path = CHECKOUT / "planner" / "pytest_plugin.py"
    if not path.exists():
        return set()
    return set(re.findall(r'"(--plan[a-z-]*)"', path.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page."""
    found = list[str]()
    for heading in re.findall(r"^#+ (.+)$", prose(page), flags=re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{plain}-{found.count(plain)}" if plain in found else plain)
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{identity(page)}: {target}"
        assert not anchor or anchor in anchors(place), f"{identity(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_files_named_in_the_text_exist(page: Path) -> None:
    """And functions, where the text says `file.py:function`."""
    folders = [page.parent, CHECKOUT, CHECKOUT / "planner", CHECKOUT / "planner" / "simulation"]
    for path, name in re.findall(r"`([\w/.-]+\.(?:py|csv|svg))(?::(\w+))?`", prose(page)):
        if "/" not in path and not name:
            continue
        found = [folder / path for folder in folders if (folder / path).exists()]
        found += (CHECKOUT / "planner").rglob(path) if "/" not in path else []
        assert found, f"{identity(page)}: {path}"
        assert not name or f"def {name}(" in found[0].read_text("utf-8"), f"{path}:{name}"


def test_the_index_has_every_page() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\(([\w.-]+\.md)\)", index))
    assert listed == {path.name for path in DOCS.glob("*.md")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_rows_of_tables_have_the_cells_of_their_head(page: Path) -> None:
    width = 0
    for line in prose(page).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (cells and width) or cells == width, f"{identity(page)}: {line}"
        width = cells


def test_output_in_the_quick_start_is_that_of_a_run(tmp_path: Path) -> None:
    """`python docs/readme.py quickstart` writes it anew; another solver may end otherwise."""
    text = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    same_solver = f"HiGHS {version('highspy')}." in PAGES[0].read_text(encoding="utf-8")

    written = script("readme").filled_quickstart(text, tmp_path)

    proof = r"\([\d.]+ M USD a year|\d+ of \d+ scenarios survived"
    assert re.findall(proof, written) == re.findall(proof, text)
    if same_solver:
        seconds = re.compile(r"\d+\.\d s\b")
        assert seconds.sub("N s", written) == seconds.sub("N s", text)


# The model reference ------------------------------------------------------------------------------


def script(name: str) -> ModuleType:
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_schema_says() -> None:
    """`python docs/reference.py` writes it anew."""
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == script("reference").page()


def test_the_reference_has_every_attribute() -> None:
    schema = Model.model_json_schema(by_alias=True)
    incident = Incident.model_json_schema()["$defs"].keys() | {"Incident"}
    shown = {name for _, _, some in script("reference").SECTIONS for name in some}
    assert shown == {"Model", *schema["$defs"], *incident}


# The formulation ----------------------------------------------------------------------------------

FORMULATION = DOCS / "formulation.md"


def families() -> list[tuple[list[str], list[str], list[str]]]:
    """Rows of the tables of families: names, formulas and functions."""
    text = FORMULATION.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_]+`) \| (.+?) \| .+? \| (.+?) \|$", text, flags=re.M)
    return [tuple(re.findall(r"`([^`]+)`", cell) for cell in row) for row in rows]  # type: ignore[misc]


def test_every_family_of_rows_is_on_the_page() -> None:
    """`test_golden` holds the golden files against the families of programmes that are built."""
    golden = (CHECKOUT / "tests" / "optimization" / "golden").glob("*.lp")
    named = [name for names, _, _ in families() for name in names]
    assert sorted(named) == sorted({path.stem for path in golden} - {"objective"})


#: Folder of each module of the optimization package.
FOLDERS = {
    path.stem: path.parent.name for path in (CHECKOUT / "planner" / "optimization").glob("*/*.py")
}


def planner_object(dotted: str) -> Any:
    """A function or class of the optimization package by its dotted name."""
    module, *rest = dotted.split(".")
    if not module[0].isupper():
        found: Any = importlib.import_module(f"planner.optimization.{FOLDERS[module]}.{module}")
    else:
        found, rest = CLASSES[module](), rest
    for name in rest:
        if dataclasses.is_dataclass(found) and name in {f.name for f in dataclasses.fields(found)}:
            return name
        found = found.model_fields[name] if hasattr(found, "model_fields") else getattr(found, name)
    return found


def _class(module: str, name: str) -> Callable[[], Any]:
    return lambda: getattr(importlib.import_module(module), name)


CLASSES = {
    **{
        name: _class("planner.optimization.formulation.variables", name)
        for name in (
            "Purchases",
            "NormalVariables",
            "StageVariables",
            "AvailabilityVariables",
        )
    },
    "ProblemData": _class("planner.optimization.formulation.problem", "ProblemData"),
    "Stage": _class("planner.optimization.formulation.stages", "Stage"),
    "GpuType": _class("planner.infrastructure.entities", "GpuType"),
    "Cluster": _class("planner.infrastructure.entities", "Cluster"),
}


def plain(text: str | None) -> str:
    """Text without line breaks."""
    return " ".join((text or "").split())


def test_formulas_are_those_of_their_functions() -> None:
    for names, formulas, functions in families():
        assert formulas, names
        documented = " ".join(plain(planner_object(one).__doc__) for one in functions)
        for formula in formulas:
            assert formula in documented, f"{names[0]}: {formula}"


def test_the_function_of_a_family_states_it() -> None:
    """Somewhere in the module that the page names, a row of the family is made."""
    for names, _, functions in families():
        module = functions[0].split(".")[0]
        path = CHECKOUT / "planner" / "optimization" / FOLDERS[module] / f"{module}.py"
        tree = ast.walk(ast.parse(path.read_text("utf-8")))
        named = {node.attr for node in tree if isinstance(node, ast.Attribute)}
        assert names[0].upper() in named, names


def test_every_name_of_the_code_on_the_page_exists() -> None:
    dotted = rf"`((?:[a-z_]+|{'|'.join(CLASSES)})\.[A-Za-z_.]+)`"
    found = set(re.findall(dotted, FORMULATION.read_text(encoding="utf-8")))
    assert len(found) > 40
    for name in found:
        if not name.startswith("planner."):
            planner_object(name)
