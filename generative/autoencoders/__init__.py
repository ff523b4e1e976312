"""Autoencoders: events through a bottleneck and back, with and without a distribution over it."""
