"""What was learned: the fit, predictions from it, residuals and checks. No PyMC."""
