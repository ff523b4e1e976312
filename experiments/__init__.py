"""Run records, training, evaluation, comparison, statistics, plots, the command line."""

if __name__ == "experiments":
    raise ImportError(
        "import gymagine.experiments, not experiments: a bare name would copy every class"
    )
