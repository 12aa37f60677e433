"""How forecasts of this very table would have come out: fit what was there, predict what came after, count."""
