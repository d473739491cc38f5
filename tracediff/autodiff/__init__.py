"""Gradients, rules, losses and the backward driver: LLM-AutoDiff (arXiv 2501.16673), algorithm 1."""

from tracediff.autodiff.driver import backward, backward_batch
from tracediff.autodiff.gradients import Gradient, GradientContext, Gradients
from tracediff.autodiff.losses import Loss
from tracediff.autodiff.rules import defbackward

__all__ = ["Gradient", "GradientContext", "Gradients", "Loss", "backward", "backward_batch", "defbackward"]
