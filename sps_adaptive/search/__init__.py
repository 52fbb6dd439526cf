"""Questions that take more than one design: which rule, which threshold, how many patients."""
