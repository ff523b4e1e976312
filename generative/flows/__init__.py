"""Normalising flows: invertible maps between events and noise, and densities by their Jacobian."""
