"""Adversarial generators: noise becomes events that another network cannot tell from data."""
