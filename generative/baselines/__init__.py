"""Densities that are fitted in closed form, for every likelihood to be printed beside."""
