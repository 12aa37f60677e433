"""Scripts that run in an environment of their own: no tests."""

collect_ignore = ["make_reference.py", "make_stan.py", "numpyro_models.py"]
