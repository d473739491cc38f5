"""Edge F1, reach of prompts and calibration of a graph against the truth of a generated program."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts over many programs."""

    hits: int = 0
    found: int = 0
    true: int = 0
    lenient_found: int = 0
    lenient_true: int = 0
    reach_hits: int = 0
    reach_found: int = 0
    reach_true: int = 0
    sure: list = field(default_factory=list)
    """(confidence, evidence, is true) of each edge found."""
    true_confidences: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    programs: int = 0

    def add(self, graph, truth, name=""):
        self.programs += 1
        label = {node.id: (node.name, node.index) for node in graph.nodes}
        edges = {}
        for edge in graph.edges:
            if edge.target.kind != "output":
                pair = label[edge.source.id], label[edge.target.id]
                if pair not in edges or edges[pair].confidence < edge.confidence:
                    edges[pair] = edge
        wanted = {pair for pair in truth.edges() if pair[1] not in truth.containers}
        holders = {}
        for target, provs in truth.inputs.items():
            for prov in provs:
                holders.setdefault((prov.producer, target), []).append(prov.holders)
        self.hits += len(wanted & set(edges))
        self.found += len(edges)
        self.true += len(wanted)
        accepted = {(holder, pair[1]) for pair, sets in holders.items() for held in sets for holder in held}
        for pair, edge in edges.items():
            is_true = pair in accepted
            self.lenient_found += is_true
            self.sure.append((edge.confidence, edge.evidence, is_true))
            if not is_true:
                self.wrong.append((name, "extra", pair, edge.detail))
        for pair in wanted:
            chosen = [
                edges[holder, pair[1]].confidence
                for held in holders[pair]
                for holder in held
                if (holder, pair[1]) in edges
            ]
            if chosen:
                self.lenient_true += 1
                self.true_confidences.append(max(chosen))
            else:
                self.wrong.append((name, "missing", pair, ""))
        self._reach(graph, truth, label)

    def _reach(self, graph, truth, label):
        into = {}
        for source, target in truth.edges():
            into.setdefault(target, set()).add(source)
        stack = [prov.producer for prov in truth.output]
        reached = set(stack)
        while stack:
            for source in into.get(stack.pop(), ()):
                if source not in reached:
                    reached.add(source)
                    stack.append(source)
        wanted = reached & truth.prompts
        nodes = [*graph.ancestors(graph.output), graph.output]
        found = {label[node.id] for node in nodes if node.kind == "prompt"}
        self.reach_hits += len(found & wanted)
        self.reach_found += len(found)
        self.reach_true += len(wanted)

    @staticmethod
    def f1(precision_hits, found, recall_hits, true):
        precision = precision_hits / found if found else 1.0
        recall = recall_hits / true if true else 1.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def strict(self):
        return self.f1(self.hits, self.found, self.hits, self.true)

    @property
    def lenient(self):
        return self.f1(self.lenient_found, self.found, self.lenient_true, self.true)

    @property
    def reach(self):
        return self.f1(self.reach_hits, self.reach_found, self.reach_hits, self.reach_true)

    @property
    def brier(self):
        return sum((sure - is_true) ** 2 for sure, _, is_true in self.sure) / max(len(self.sure), 1)

    @property
    def confident(self):
        """Share of the true edges found that carry at least 0.9."""
        return sum(sure >= 0.9 for sure in self.true_confidences) / max(len(self.true_confidences), 1)
