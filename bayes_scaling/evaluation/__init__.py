"""How far to trust a model: backtests, certificates, weights of several laws, forecasts written down and scored."""
