"""Deep agents: networks in place of tables."""

__all__: list[str] = []
