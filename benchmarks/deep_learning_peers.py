"""Stable-Baselines3's counterparts of DQN and A2C with the hyper-parameters of ours."""

import dataclasses

from gymagine.experiments.peers import peer_agent

__all__ = ["a2c_class", "a2c_of_sb3", "dqn_of_sb3"]

_COPIES = 8
_CLASSES = {}


def a2c_class(activation, reward_scale, falling, log_std_init):
    """SB3's A2C with eight copies of its environment, where the catalogue's has one.

    Args:
        activation: ``tanh`` or ``relu``.
        reward_scale: What rewards are multiplied by.
        falling: Whether the step size falls to 0 over the budget.
        log_std_init: Where the logarithm of a Box's standard deviations starts.
    """

    class A2COfSeveral(peer_agent("sb3:a2c", "stable_baselines3:A2C")):
        def _build(self):
            import gymnasium
            import torch
            from stable_baselines3 import A2C
            from stable_baselines3.common.env_util import make_vec_env

            settings = dataclasses.asdict(self.config)
            net_arch, device, _ = (settings.pop(key) for key in ("net_arch", "device", "preset"))
            spec, first = self.env.spec, settings.pop("learning_rate")

            def make():
                env = gymnasium.make(spec)
                if reward_scale == 1.0:
                    return env
                return gymnasium.wrappers.TransformReward(env, lambda r: reward_scale * r)

            policy = {
                "activation_fn": {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation],
                "log_std_init": log_std_init,
            }
            return A2C(
                "MlpPolicy",
                make_vec_env(make, n_envs=_COPIES, seed=self.seed),
                seed=self.seed,
                device="cpu" if device == "auto" else device,
                learning_rate=(lambda left: first * left) if falling else first,
                policy_kwargs=policy | ({} if net_arch is None else {"net_arch": list(net_arch)}),
                **settings,
            )

    name = f"A2C_{activation}_{reward_scale:g}_{falling:d}_{log_std_init:g}"
    A2COfSeveral.name = f"{__name__}:{name}"
    return _CLASSES.setdefault(name, A2COfSeveral)


def __getattr__(name):
    """The classes that `a2c_class` made, for `compare`, which finds agents by module and name."""
    try:
        return _CLASSES[name]
    except KeyError:
        raise AttributeError(name) from None


def dqn_of_sb3(settings, total_timesteps):
    """The catalogue's name and SB3's hyper-parameters of our DQN's."""
    rate = settings["exploration_rate"]
    given = {
        "preset": "none",
        "gamma": settings["discount"],
        "net_arch": tuple(settings["hidden_sizes"]),
        "exploration_initial_eps": rate.initial,
        "exploration_final_eps": rate.final,
        "exploration_fraction": rate.num_steps / total_timesteps,
    }
    same = (
        "learning_rate",
        "batch_size",
        "buffer_size",
        "learning_starts",
        "target_update_interval",
        "train_freq",
        "gradient_steps",
    )
    return "sb3:dqn", {**given, **{name: settings[name] for name in same if name in settings}}


def a2c_of_sb3(settings, _total_timesteps):
    """The name of a class above and SB3's hyper-parameters of our A2C's."""
    if settings.get("num_envs", _COPIES) != _COPIES:
        raise ValueError(f"expected {_COPIES} environments, got {settings['num_envs']}")
    optimiser = settings.get("optimiser", "rmsprop")
    if optimiser not in ("rmsprop", "adam"):
        raise ValueError(f"expected RMSprop or Adam as SB3's A2C has them, got {optimiser}")
    rate = settings.get("learning_rate", 7e-4)
    falling = not isinstance(rate, float)
    chosen = a2c_class(
        settings.get("activation", "tanh"),
        settings.get("reward_scale", 1.0),
        falling,
        settings.get("initial_log_sigma", 0.0),
    )
    names = {
        "n_steps": "n_steps",
        "discount": "gamma",
        "gae_lambda": "gae_lambda",
        "entropy_weight": "ent_coef",
        "value_weight": "vf_coef",
        "hidden_sizes": "net_arch",
        "max_grad_norm": "max_grad_norm",
        "normalise_advantages": "normalize_advantage",
        "optimiser_epsilon": "rms_prop_eps",
    }
    return chosen.name, {
        "preset": "none",
        "learning_rate": rate.initial if falling else rate,
        "use_rms_prop": optimiser == "rmsprop",
        **{theirs: settings[ours] for ours, theirs in names.items() if ours in settings},
    }
