"""Networks that several families are made of."""
