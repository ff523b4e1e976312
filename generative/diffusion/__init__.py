"""Diffusion: generators that learn to take noise away from events, step by step."""
