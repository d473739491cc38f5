"""Gradients, rules, losses and the backward driver."""
