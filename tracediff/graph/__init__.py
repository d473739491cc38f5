"""Records to ParameterGraph: edge inference, nodes, edges."""
