"""Forecasts written down before their runs are measured, where they cannot be changed unnoticed, and how they came out."""
