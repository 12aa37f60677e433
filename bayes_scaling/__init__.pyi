# The public names, each once: the type checker reads them here, and `__init__.py` imports them on first use.
from .cards import Card as Card
from .constants import published as published
from .constants import published_names as published_names
from .datasets import available_runs as available_runs
from .datasets import load_curves as load_curves
from .datasets import load_runs as load_runs
from .decisions.budget import allocate as allocate
from .decisions.budget import budget_table as budget_table
from .diagnostics import check as check
from .diagnostics import contraction as contraction
from .diagnostics import summarize as summarize
from .documents import read_model as read_model
from .documents import shipped_models as shipped_models
from .errors import BayesScalingError as BayesScalingError
from .errors import BayesScalingWarning as BayesScalingWarning
from .fits import Fit as Fit
from .fits import load_fit as load_fit
from .inference.model import build_model as build_model
from .inference.sampling import fit as fit
from .laws import LAWS as LAWS
from .laws import Law as Law
from .laws import law as law
from .prediction import intervals as intervals
from .prediction import predict as predict
from .prediction import predict_table as predict_table
from .quantities import training_compute as training_compute
from .report import plot_forecast as plot_forecast
from .report import write_report as write_report
from .runs import RunTable as RunTable
from .runs import read_runs as read_runs
from .specification import ModelSpec as ModelSpec
from .transformer import Transformer as Transformer
from .transformer import embedding_gamma as embedding_gamma
from .transformer import nonembedding_params as nonembedding_params
from .transformer import total_params as total_params

__version__: str
