"""The environments of the textbooks, each as a model with its reference.

A lower-case function builds the model, such as `grid_world`; the name in capitals beside it makes
the environment, and is what ``gymnasium.make`` calls.
"""
