import numpy as np
import pytest
from gymagine.experiments.scalars import open_logger, read_rows, record_hyperparameters
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def scalars(folder, tag):
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return [(event.step, pytest.approx(event.value)) for event in accumulator.Scalars(tag)]


def dump(logger, step, **values):
    for name, value in values.items():
        logger.record(name.replace("__", "/"), value)
    logger.record("time/total_timesteps", step, exclude="tensorboard")
    logger.dump(step)


def test_scalars_reach_both_files(tmp_path):
    logger = open_logger(tmp_path)
    dump(logger, 10, rollout__ep_rew_mean=0.5)
    dump(logger, 20, rollout__ep_rew_mean=np.float32(0.25), eval__mean_reward=1)
    logger.close()
    assert read_rows(tmp_path / "metrics.csv") == [
        {"time/total_timesteps": 10, "rollout/ep_rew_mean": 0.5},
        {"time/total_timesteps": 20, "rollout/ep_rew_mean": 0.25, "eval/mean_reward": 1.0},
    ]
    assert scalars(tmp_path, "rollout/ep_rew_mean") == [(10, 0.5), (20, 0.25)]
    assert scalars(tmp_path, "eval/mean_reward") == [(20, 1.0)]


def test_a_torn_last_line_is_left_out(tmp_path):
    logger = open_logger(tmp_path, events=False)
    dump(logger, 10, train__loss=0.5)
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "20,0.12")
    assert read_rows(path) == [{"time/total_timesteps": 10, "train/loss": 0.5}]


def test_a_resumed_run_forgets_what_it_did_after_the_checkpoint(tmp_path):
    logger = open_logger(tmp_path)
    for step in (10, 20, 30):
        dump(logger, step, train__loss=float(step))
    logger.close()
    logger = open_logger(tmp_path, resumed_at=20)
    dump(logger, 30, train__loss=-30.0)
    dump(logger, 40, train__loss=-40.0)
    logger.close()
    steps = [row["time/total_timesteps"] for row in read_rows(tmp_path / "metrics.csv")]
    assert steps == [10, 20, 30, 40]
    assert scalars(tmp_path, "train/loss") == [(10, 10.0), (20, 20.0), (30, -30.0), (40, -40.0)]


def test_texts_and_pictures_are_for_tensorboard_only(tmp_path):
    from stable_baselines3.common.logger import Image

    logger = open_logger(tmp_path)
    logger.record("note", "text")
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    logger.record("values/heat_map", Image(picture, "HWC"), exclude=("stdout", "csv"))
    dump(logger, 5, train__loss=1.0)
    logger.close()
    assert read_rows(tmp_path / "metrics.csv") == [{"time/total_timesteps": 5, "train/loss": 1.0}]
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    assert accumulator.Tags()["images"] == ["values/heat_map"]


def hyperparameter_columns(folder):
    """What TensorBoard itself makes of the runs in a folder: columns and metrics by name."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import backend_context

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = RequestContext()
    experiment = context.experiment_from_metadata(
        request, "", True, context.hparams_metadata(request, ""), []
    )
    return (
        [column.name for column in experiment.hparam_infos],
        [metric.name.tag for metric in experiment.metric_infos],
    )


def test_hyperparameters_have_their_page(tmp_path):
    from tensorboard.plugins.hparams import plugin_data_pb2

    logger = open_logger(tmp_path)
    values = {"step_size": 0.5, "agent": "q-learning", "net_arch": [8, 8], "masked": True}
    record_hyperparameters(logger, values)
    logger.close()
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    contents = accumulator.PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(
        contents["_hparams_/session_start_info"]
    ).session_start_info
    assert start.hparams["step_size"].number_value == 0.5
    assert start.hparams["agent"].string_value == "q-learning"
    assert start.hparams["net_arch"].string_value == "8 8"
    assert start.hparams["masked"].bool_value is True


def test_the_page_has_the_columns_of_all_agents_and_first_those_that_differ(tmp_path):
    runs = {
        "a": {"agent": "dqn", "activation": "relu", "double": True},
        "b": {"agent": "a2c", "activation": "relu", "gae_lambda": 0.9},
    }
    for name, values in runs.items():
        logger = open_logger(tmp_path / name)
        record_hyperparameters(logger, values)
        dump(logger, 5, eval__mean_reward=1.0)
        logger.close()
    columns, metrics = hyperparameter_columns(tmp_path)
    assert columns == ["agent", "activation", "double", "gae_lambda"]
    assert metrics == ["eval/mean_reward"]
