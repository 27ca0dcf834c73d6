"""Fleets of the nodes of a roadmap, judged by the simulation beside its programme."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from planner.below import MOST_TRIES
from planner.infrastructure.fleet import Fleet
from planner.judging import Counts, Judged, OutOfTurns
from planner.learning import admitting, learn
from planner.optimization.formulation.build import build
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import counts_of, variables
from planner.optimization.solution.settings import SolverSettings
from planner.roadmap.pricing import NodeOutcome
from planner.roadmap.programme import RoadmapProgramme
from planner.survivors import cheaper_fleets
from planner.workers import side_by_side


@dataclass
class Judges:
    """Judges of fleets that can be in service in a node, with what each knows of them.

    Attributes
    ----------
    searched
        Fleet of each node from which a cheaper one was looked for last.
    """

    roadmap: RoadmapProgramme
    settings: SolverSettings
    deadline: Deadline
    searched: dict[str, Fleet] = field(default_factory=dict)
    _made: dict[str, Judged] = field(default_factory=dict)

    def of(self, name: str) -> Judged:
        """That of a node, with all its turns: another one where other scenarios are asked for."""
        each, known = self.roadmap.nodes[name], self._made.get(name)
        if known is not None and known.scenarios == each.data.scenarios:
            known.left = MOST_TRIES
            return known
        base, there = build(each.data.part(())), variables(each.programme)
        for key, variable in variables(base).items():
            variable.low, variable.high = there[key].low, there[key].high
        model, scenarios, deadline = each.data.model, each.data.scenarios, self.deadline
        made = self._made[name] = Judged(
            model, scenarios, base, self.settings, lambda: deadline.over, MOST_TRIES
        )
        return made

    def hopeless(self, name: str, known: Collection[str]) -> Iterator[str]:
        """Failures of a node that are not survived with all that can be in service there.

        Apart from the budget: with less at hand less is spent.

        Parameters
        ----------
        known
            Failures of the node that are not looked at.

        Raises
        ------
        OutOfTime
            If time ends before.
        """
        judged = self.of(name)
        most = [
            0 if key.kind == "retired" else count
            for key, count in zip(judged.keys, judged.most, strict=True)
        ]
        asked = [one for one in judged.scenarios if one.name not in known]
        try:
            # Halls that draw more than there is take long to simulate: first what power allows.
            if (fullest := judged.fullest()) is not None:
                asked = judged.failing(fullest, asked)
            verdicts = judged.verdicts(tuple(most), asked)
        except OutOfTurns:
            raise OutOfTime from None
        for verdict in verdicts:
            if any(breach.kind != "budget" for breach in verdict.breaches):
                yield joined(name, verdict.name)

    def cuts(
        self, outcomes: Mapping[str, NodeOutcome], steady: Collection[str]
    ) -> dict[str, list[SimulatedCut]]:
        """New cuts for what nodes are short of, which as much as may be in service can meet.

        Parameters
        ----------
        steady
            Failures, as ``node/scenario``, that get none.
        """
        missing = [name for name, found in outcomes.items() if found.missed]
        for name in missing:
            self.of(name)

        def cuts_of(name: str) -> list[SimulatedCut]:
            known, found = self.roadmap.nodes[name].data.learned, outcomes[name]
            asked = {one for one in found.missed if joined(name, one) not in steady}
            missed = (*found.made.verdicts, *found.made.beyond)
            judged = self.of(name)
            made = learn(judged, _counts(judged, found), [v for v in missed if v.name in asked])
            return [cut for cut in made if cut not in known and _can_be_met(judged, cut)]

        return dict(zip(missing, side_by_side(cuts_of, missing), strict=True))

    def weakened(self, outcomes: Mapping[str, NodeOutcome]) -> dict[str, tuple[SimulatedCut, ...]]:
        """Cuts of nodes as fleets allow that survive, after a search for cheaper ones.

        Nodes whose fleet was searched from before are left out.

        Raises
        ------
        OutOfTime
            If time ends before all are searched.
        """
        learned = {name: each.data.learned for name, each in self.roadmap.nodes.items()}
        new = [n for n in learned if learned[n] and self.searched.get(n) != outcomes[n].fleet]
        for name in new:
            self.of(name)

        def search(name: str) -> bool:
            if self.deadline.over:
                return False
            judged = self.of(name)
            cheaper_fleets(judged, [_counts(judged, outcomes[name])])
            return True

        if not all(side_by_side(search, new)):
            raise OutOfTime
        self.searched |= {name: outcomes[name].fleet for name in new}
        made = self._made
        return {n: admitting(made[n], learned[n], made[n].survivors) for n in new}


def _counts(judged: Judged, found: NodeOutcome) -> Counts:
    return tuple(counts_of(judged.base, found.fleet).values())


def _can_be_met(judged: Judged, cut: SimulatedCut) -> bool:
    most = judged.net(judged.most)
    return sum(gain.share * (most[gain.key] - gain.bought) for gain in cut.gains) >= 1
