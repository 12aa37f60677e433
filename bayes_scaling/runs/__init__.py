"""Measured runs: tables read and validated, what follows from them, and data sets by name."""
