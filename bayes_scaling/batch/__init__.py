"""Batches: many tables, many models, a posterior of each; resumable, on this machine or on a cluster.

The path of the data: a document (:mod:`~bayes_scaling.batch.document`) names tables and models; a plan
(:mod:`~bayes_scaling.batch.plan`) reads the tables and makes a job of each table and model; an executor
(:mod:`~bayes_scaling.batch.executors`) gives jobs to workers; a worker (:mod:`~bayes_scaling.batch.job`) fits, answers and stores
(:mod:`~bayes_scaling.batch.store`); what is stored becomes tables (:mod:`~bayes_scaling.batch.results`) and a page
(:mod:`~bayes_scaling.batch.page`).
"""

from bayes_scaling.batch.results import read_answers, read_batch, read_failures
from bayes_scaling.batch.run import fit_many

__all__ = ["fit_many", "read_answers", "read_batch", "read_failures"]
