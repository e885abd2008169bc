"""Studies: one configuration, several agents and seeds, each cell of the grid an ordinary run."""
