# The public names, each once: the type checker reads them here, and `__init__.py` imports them on first use.
import collections.abc
import typing

from . import batch as batch
from . import evaluation as evaluation
from . import laws as laws
from . import questions as questions
from .batch.results import read_batch as read_batch
from .batch.run import fit_many as fit_many
from .errors import BayesScalingError as BayesScalingError
from .errors import BayesScalingWarning as BayesScalingWarning
from .evaluation.backtest import backtest as backtest
from .evaluation.certify import certify as certify
from .evaluation.compare import compare as compare
from .evaluation.weights import weigh as weigh
from .inference.build import build_model as build_model
from .inference.sample import fit as fit
from .laws import law as law
from .model.document import Model as Model
from .model.document import read_model as read_model
from .model.document import shipped_models as shipped_models
from .posterior.arviz import to_arviz as to_arviz
from .posterior.checks import check as check
from .posterior.checks import summarize as summarize
from .posterior.fit import Fit as Fit
from .posterior.fit import load_fit as load_fit
from .posterior.mixture import Mixture as Mixture
from .posterior.mixture import load_mixture as load_mixture
from .posterior.predict import intervals as intervals
from .questions.allocation import budget_table as budget_table
from .questions.base import Answer as Answer
from .questions.base import ask as ask
from .questions.base import question as question
from .questions.claims import claims as claims
from .questions.derive import derive as derive
from .questions.guarded import allocate as allocate
from .questions.guarded import frontier as frontier
from .questions.guarded import predict as predict
from .questions.guarded import predict_table as predict_table
from .questions.live import live as live
from .report import plots as plots
from .report import write_report as write_report
from .runs import readers as readers
from .runs.card import Card as Card
from .runs.catalog import load_curves as load_curves
from .runs.catalog import load_runs as load_runs
from .runs.table import RunTable as RunTable
from .runs.table import read_runs as read_runs

type _Reader = collections.abc.Callable[..., typing.Any]
# The readers of `readers` are found at the top too; they are listed in their room.
read_checkpoints: _Reader
read_excel: _Reader
read_lightning: _Reader
read_mlflow: _Reader
read_table: _Reader
read_tensorboard: _Reader
read_trainer: _Reader
read_wandb: _Reader

__version__: str
