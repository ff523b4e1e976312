"""Data to learn from: toys, pictures, sequences, and what environments give."""
