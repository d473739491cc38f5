"""Training: samples, evaluation, the journal and the one loop of a training run."""
