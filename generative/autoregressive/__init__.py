"""Models of events as products of conditionals, one for each entry."""
