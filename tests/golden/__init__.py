"""Numbers that may not move: log densities, prior draws, and answers computed from stored draws."""
