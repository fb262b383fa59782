"""Statistics: what a set of predictions is worth, and how sure we are of it. Pure functions of arrays."""
