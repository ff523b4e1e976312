"""How good a generator is: likelihoods, and distances between samples and data."""
