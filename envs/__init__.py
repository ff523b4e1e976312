"""Tabular models, Gymnasium environments and wrappers."""

if __name__ == "envs":
    raise ImportError("import gymagine.envs, not envs: a bare name would copy every class")
