"""Do intervals hold what they say, on tables simulated for the user's own design: the certificate of a model."""
