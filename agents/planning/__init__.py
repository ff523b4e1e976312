"""Planners: exact solvers of a known model."""
