"""Agents that use generators: in dreams, as policies, as planners, as memories and rewards."""
