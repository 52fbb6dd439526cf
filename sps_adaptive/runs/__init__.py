"""A run is a set of blocks: which are needed, who computes them, where they lie, and how they are read."""
