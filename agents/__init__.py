"""Planners and learners on one interface: learn, predict, save, load."""

if __name__ == "agents":
    raise ImportError("import gymagine.agents, not agents: a bare name would copy every class")
