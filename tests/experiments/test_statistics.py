import inspect

from gymagine.experiments import aggregates, intervals, learning_curves, significance, statistics


def test_one_place_names_each_statistic_once():
    homes = (aggregates, intervals, learning_curves, significance)
    for name in statistics.__all__:
        (home,) = [module for module in homes if name in module.__all__]
        assert getattr(statistics, name) is getattr(home, name)


def test_every_random_statistic_takes_its_generator_by_keyword():
    for name in statistics.__all__:
        value = getattr(statistics, name)
        if inspect.isfunction(value) and "num_resamples" in inspect.signature(value).parameters:
            assert (
                inspect.signature(value).parameters["rng"].kind is inspect.Parameter.KEYWORD_ONLY
            )
