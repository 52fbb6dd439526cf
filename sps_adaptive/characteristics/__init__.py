"""Operating characteristics: from the tables of a run to figures with their Monte Carlo errors."""
