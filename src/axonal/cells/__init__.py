"""Methods on cells: perturbation responses and cell-cell contact."""
