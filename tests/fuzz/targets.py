"""What reads files and texts of users: each takes any input, or refuses it in a few plain lines."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.inputs import NUMBERS, TEXTS, Seed, junk
from pydantic import BaseModel
from replay.conftest import OWN
from simulation.worlds import ONE
from support import CHECKOUT, NETBOX

from planner.analysis.stress.certificate import read_certificate
from planner.checkpoint import begin, resume
from planner.commands import main
from planner.errors import InputError
from planner.finance.user_cash_flows import read_flows
from planner.imports.inventory import Asked
from planner.imports.model_text import completed, model_text
from planner.imports.netbox import read_netbox
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.infrastructure.schema import model_schema
from planner.infrastructure.source import parse_yaml
from planner.plan.metrics import METRICS
from planner.plan.records import Plan
from planner.plan.reopening import reopen
from planner.plan.thresholds import parse_rules, read_policy
from planner.replay.loading import load_incident
from planner.replay.schema import incident_schema
from planner.roadmap.files import parse_roadmap
from planner.roadmap.records import Roadmap
from planner.scenarios.generators import all_scenarios

#: Problems that one input may have, and characters of a line about one of them.
MOST_PROBLEMS, LONGEST = 20_000, 1_000
#: Failures of a model that are drawn up to look whether that works.
FEW_UNITS = 1_000
YEARS = "extends: tiny\nhorizon: {start: 2026-01, period: year, periods: 2}\n"
POLICY = """
rules:
  - capital > 900M
  - {name: cost, fail_on: cost > 90M, message: too dear}
  - {name: free, fail_on: "served[free] < 0.5"}
  - "recovery_minutes[region-west] > 2h"
"""
RULES = (
    "capital > 900M",
    "served[free] < 99%",
    "recovery_minutes[region-west] > 2h",
    "survives < 1.0",
)
TABLE = "name,demand_rps,latency_ms.here\na,600,5\nb,300.5,40\n"
SERIES = "hour,day,flat\n" + "".join(f"{hour},{hour / 10},1\n" for hour in range(24))
FLOWS = "year,usd,remark\n0,-5e6,start\n1,1000000,x\n1,2.5,\n"


class Fault(Exception):  # noqa: N818
    """What no input may do."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Parameters
    ----------
    make
        An input from a source of random numbers.
    read
        Reads it; whatever it raises but `InputError` is a fault.
    weight
        How often it is chosen beside others.
    valid
        An input that it takes.
    """

    make: Callable[[Random], bytes]
    read: Callable[[bytes], object]
    weight: int = 1
    valid: bytes = b""

    def try_out(self, content: bytes) -> bool:
        """Read an input; whether it was taken.

        Raises
        ------
        Fault
            If a message is none for one line of a terminal.
        """
        try:
            self.read(content)
        except InputError as error:
            _check(error)
            return False
        return True


def _check(error: InputError) -> None:
    if not 0 < len(error.problems) <= MOST_PROBLEMS:
        raise Fault(f"{len(error.problems)} problems")
    for problem in error.problems:
        for line in str(problem).split("\n"):
            if not (line.isprintable() and len(line) <= LONGEST):
                raise Fault(f"message {line[:200]!r} of {len(line)} characters")
        str(problem).encode()
        if not (problem.file and problem.message):
            raise Fault(f"a problem without place or message: {problem}")


def targets(folder: Path) -> dict[str, Target]:
    """All readers, with files of their own in a folder."""
    return {
        **_of_models(folder),
        **_of_plans(folder),
        **_of_texts(folder),
        "inventory": _inventory(folder),
    }


def _reader(path: Path, read: Callable[[Path], object], weight: int, *seeds: Seed) -> Target:
    """A reader of a file, which is what comes of changing those that it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def read_file(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return Target(lambda rng: rng.choice(seeds).changed(rng), read_file, weight, seeds[0].content)


# ------------------------------------------------------------------------------------------- models


def seeds_of_models() -> tuple[Seed, ...]:
    """Models of several sizes."""
    schema = model_schema()
    shipped = (CHECKOUT / "models" / "tiny.yaml").read_bytes()
    small = "extends: tiny\nzones: {west-users: {demand_rps: 700 }}\nfinance: {discount_rate: 9%}\n"
    texts = (ONE.encode(), ONE.encode(), shipped, small.encode(), YEARS.encode())
    return tuple(Seed(text, parse_yaml(text, "seed").data, schema) for text in texts)


def _load(path: Path, settings: tuple[str, ...] = ()) -> None:
    loaded = load_model(path, settings)
    build_graph(loaded.model)
    units = sum(sum(plant.existing.values()) for plant in loaded.model.plants.values())
    if units < FEW_UNITS:
        # A model may ask for what there is not, and is then refused at once.
        all_scenarios(loaded.model)


def _of_models(folder: Path) -> dict[str, Target]:
    seeds = seeds_of_models()
    base = folder / "base.yaml"
    base.write_text(ONE, encoding="utf-8")
    for section, name in (("zones", "zones.csv"), ("shapes", "shapes.csv")):
        text = ONE.replace("zones:", "other:") if section == "zones" else ONE
        text = "\n".join(line for line in text.split("\n") if not line.startswith("other:"))
        (folder / f"{section}.yaml").write_text(f"{text}{section}: {name}\n", encoding="utf-8")
    incident = parse_yaml(OWN.encode(), "own").data

    def beside(path: Path) -> None:
        _load(path.with_suffix(".yaml"))

    (folder / "site.yaml").write_text(ONE, encoding="utf-8")
    return {
        "model": _reader(folder / "model.yaml", _load, 40, *seeds),
        "setting": Target(
            lambda rng: _setting(rng, seeds[0]),
            lambda content: _load(base, tuple(content.decode(errors="replace").split("\n")[:3])),
            12,
            b"finance.discount_rate=0.1",
        ),
        "table": _reader(folder / "zones.csv", beside, 6, Seed(TABLE.encode())),
        "series": _reader(folder / "shapes.csv", beside, 4, Seed(SERIES.encode())),
        "incident": _reader(
            folder / "own.yaml", load_incident, 8, Seed(OWN.encode(), incident, incident_schema())
        ),
    }


def _setting(rng: Random, seed: Seed) -> bytes:
    """Some ``path=value``."""

    def one() -> str:
        path = ".".join(map(str, rng.choice(seed.paths)))
        if rng.random() < 0.3:
            path = rng.choice(
                (f"{path}.{rng.choice(seed.words)}", f"{path}[0]", "*", "", path[:-1])
            )
        value = junk(rng, seed.words)
        text = value if isinstance(value, str) else json.dumps(value)
        return f"{path}{rng.choice(('=', '=', '=', '', '==', ' = '))}{text}"

    return "\n".join(one() for _ in range(rng.choice((1, 1, 2)))).encode("utf-8", "surrogatepass")


# -------------------------------------------------------------------------------------------- plans


def run(*words: str | Path, codes: Sequence[int] = (0,)) -> int:
    """Run ``plan`` in this process, silently; its exit code.

    Raises
    ------
    Fault
        If the code is none of those that may be, with what was printed.
    """
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([str(word) for word in words])
    except SystemExit as end:
        if end.code not in codes or "Internal error" in err.getvalue():
            shown = f"plan {' '.join(map(str, words))} exits with {end.code}"
            raise Fault(f"{shown}\n{err.getvalue()[-2000:]}{out.getvalue()[-2000:]}") from None
        return int(end.code or 0)
    raise Fault("no exit code")


def _of_plans(folder: Path) -> dict[str, Target]:
    """Readers of what the planner itself writes, with fresh files of this version."""
    short = ("-q", "--json", "--set", "simulation.horizon_minutes=180")
    (folder / "years.yaml").write_text(YEARS, encoding="utf-8")
    stress = folder / "stress.json"
    run("optimize", "tiny", *short, "-o", folder / "plan")
    run("roadmap", folder / "years.yaml", *short, "-o", folder / "years")
    run("stress", "tiny", "-k", "1", *short, "--certificate", stress, codes=(0, 4))
    identity = {"command": "optimize", "model": "tiny"}
    begin(folder / "run", identity)
    (run_of,) = (folder / "run").iterdir()
    changed, plan, years = (
        folder / "changed",
        folder / "plan/plan.json",
        folder / "years/roadmap.json",
    )
    return {
        "plan": _reader(changed / "plan.json", reopen, 10, _seed_of(plan, Plan)),
        "roadmap": _reader(changed / "roadmap.json", parse_roadmap, 2, _seed_of(years, Roadmap)),
        "certificate": _reader(changed / "stress.json", read_certificate, 3, _seed_of(stress)),
        "checkpoint": _reader(
            changed / run_of.name,
            lambda path: resume(path.parent, identity),
            3,
            Seed(run_of.read_bytes()),
        ),
    }


def _seed_of(path: Path, kind: type[BaseModel] | None = None) -> Seed:
    content = path.read_bytes()
    return Seed(content, json.loads(content), kind.model_json_schema() if kind else {})


# -------------------------------------------------------------------------------------------- texts


def _of_texts(folder: Path) -> dict[str, Target]:
    policy = Seed(POLICY.encode(), parse_yaml(POLICY.encode(), "policy").data)
    return {
        "rule": Target(
            _rule,
            lambda content: parse_rules(content.decode(errors="replace").split("\n")),
            10,
            RULES[0].encode(),
        ),
        "thresholds": _reader(folder / "rules.yaml", read_policy, 8, policy),
        "cash flows": _reader(
            folder / "flows.csv", lambda path: read_flows(path, 10), 4, Seed(FLOWS.encode())
        ),
    }


def _rule(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return Seed(rng.choice(RULES).encode()).changed(rng)
    parts = (
        rng.choice((*METRICS, *TEXTS)),
        rng.choice(("", "", "[free]", "[]", "[region-west", f"[{rng.choice(TEXTS)}]")),
        rng.choice((">", "<", ">=", "==", "!=", "≤", "=", "<>", "")),
        rng.choice((*map(str, NUMBERS[:12]), "5M", "99%", "2h", "1e9kUSD", "٣", "1__0")),
    )
    return rng.choice((" ", "")).join(parts).encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------------------------------- inventory


def _inventory(folder: Path) -> Target:
    """An export of which one list is changed."""
    place = folder / "inventory"
    with zipfile.ZipFile(NETBOX) as packed:
        packed.extractall(place)
    place /= "export"
    seeds = {path.name: _seed_of(path) for path in sorted(place.glob("*.json"))}

    def make(rng: Random) -> bytes:
        name = rng.choice(sorted(seeds))
        return name.encode() + b"\n" + seeds[name].changed(rng)

    def read(content: bytes) -> None:
        name, _, text = content.partition(b"\n")
        path = place / Path(name.decode(errors="replace")).name
        seed = seeds.get(path.name)
        if seed is None:
            return  # the name itself was changed
        path.write_bytes(text)
        try:
            written = model_text(completed(read_netbox(Asked(place))))
        finally:
            path.write_bytes(seed.content)
        model = folder / "imported.yaml"
        model.write_text(written, encoding="utf-8")
        with suppress(InputError):
            load_model(model)

    name = "sites.json"
    return Target(make, read, 1, name.encode() + b"\n" + seeds[name].content)
