"""Automatic differentiation in words for LLM programs that already exist."""
