"""Learners whose value functions are tables."""
