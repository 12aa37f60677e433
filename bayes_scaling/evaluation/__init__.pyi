# The public names of this room: a function that has the name of its module, such as backtest, is public in the package.
from .certificate import Certificate as Certificate
from .certificate import read_certificate as read_certificate
from .choice import Choice as Choice
from .choice import choose as choose
from .forecasts import register_forecasts as register_forecasts
from .forecasts import score_forecasts as score_forecasts
from .outcome import Backtest as Backtest
from .outcome import read_backtest as read_backtest
from .weights import Weights as Weights
from .weights import weigh_left_out as weigh_left_out
