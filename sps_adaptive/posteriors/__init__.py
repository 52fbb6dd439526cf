"""What the analysis believes about the arms: posteriors whose functionals are computed, not sampled."""
