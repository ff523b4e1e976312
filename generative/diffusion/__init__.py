"""Diffusion: generators that learn to take noise away."""
