"""Questions asked of a posterior: one file a question, found by :mod:`~bayes_scaling.questions.registry`."""
