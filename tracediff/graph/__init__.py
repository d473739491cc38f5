"""Records to ParameterGraph: edge inference, nodes, edges."""

from tracediff.graph.assembly import build
from tracediff.graph.graph import ParameterGraph
from tracediff.graph.links import link, unlink
from tracediff.graph.model import Edge, Node

__all__ = ["Edge", "Node", "ParameterGraph", "build", "link", "unlink"]
