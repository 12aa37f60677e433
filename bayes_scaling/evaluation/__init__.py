"""How far to trust a model: backtests, certificates, weights of several laws, forecasts registered and scored."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
