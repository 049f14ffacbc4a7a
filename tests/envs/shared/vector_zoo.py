"""Environments for the tests of worker processes; imports neither torch nor SB3."""

from __future__ import annotations

import copy
import ctypes
import os
import resource
import signal
import sys

import gymnasium
import numpy as np
from gymnasium import spaces

from roboyard.errors import ConfigError

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)
IMAGE = spaces.Box(0, 255, (16, 20, 3), np.uint8)
OBSERVATIONS = {
    "vector": VECTOR,
    "double": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    "image": IMAGE,
    "discrete": spaces.Discrete(7),
    "multi_discrete": spaces.MultiDiscrete([3, 5]),
    "multi_binary": spaces.MultiBinary(4),
    "dict": spaces.Dict({"image": IMAGE, "vector": VECTOR, "gear": spaces.Discrete(5)}),
    "tuple": spaces.Tuple((VECTOR, spaces.Discrete(3))),
}
ACTIONS = {
    "box": spaces.Box(-1.0, 1.0, (2,), np.float32),
    "discrete": spaces.Discrete(4),
    "multi_discrete": spaces.MultiDiscrete([2, 3]),
    "multi_binary": spaces.MultiBinary(3),
}


class ZooEnv(gymnasium.Env):
    """Random observations, rewards, ends and infos, all from the seed and the actions."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012

    def __init__(self, observation="vector", action="box", infos=True, render_mode=None):
        self.observation_space = copy.deepcopy(OBSERVATIONS[observation])
        self.action_space = copy.deepcopy(ACTIONS[action])
        self.render_mode = render_mode
        self.infos = infos
        self.steps = self.lifetime = 0
        self.total = 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {"options": options, "n": self.np_random.random()}

    def step(self, action):
        self.steps += 1
        self.lifetime += 1
        self.total += float(np.sum(action)) + self.np_random.normal()
        terminated = bool(self.np_random.random() < 0.1)
        truncated = self.steps >= 12
        info = {"total": np.float64(self.total), "array": np.arange(self.steps)}
        info = info if self.infos else {}
        return self.observation_space.sample(), self.total, terminated, truncated, info

    def render(self):
        return np.full((4, 4, 3), self.steps, np.uint8)

    def modules(self):
        return [name for name in ("torch", "stable_baselines3") if name in sys.modules]

    def echo(self, value, *, twice=False):
        return value * 2 if twice else value

    def threads(self):
        return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT)

    def refuse(self):
        raise LookupError("not today")

    def unpicklable(self):
        return sys._getframe()


class ReusingEnv(ZooEnv):
    """Hands out one array again and again."""

    def reset(self, *, seed=None, options=None):
        self.buffer = np.zeros(3, np.float32)
        self.steps = 0
        return self.buffer, {}

    def step(self, action):
        self.steps += 1
        self.buffer[:] = self.steps / 10
        done = self.steps == 3
        return self.buffer, 0.0, done, False, {}


class KeepingEnv(ZooEnv):
    """Pays the action of the step before, which it keeps without a copy."""

    previous = np.zeros(2, np.float32)

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        reward = float(self.previous.sum())
        self.previous = action
        return observation, reward, terminated, truncated, info


class FaultyEnv(ZooEnv):
    """Fails in the given way: in the constructor, the first reset, or the third step."""

    def __init__(self, fault, where="step"):
        super().__init__()
        self.fault, self.where = fault, where
        if where == "constructor":
            self.fail()

    def reset(self, *, seed=None, options=None):
        if self.where == "reset":
            self.fail()
        return super().reset(seed=seed, options=options)

    def step(self, action):
        if self.where == "step" and self.lifetime == 2:
            self.fail()
        return super().step(action)

    def fail(self):  # noqa: C901
        if self.fault == "raise":
            raise ValueError("the gears are stuck")
        if self.fault == "config":
            raise ConfigError("no such robot 'qudruped'. Did you mean 'quadruped'?")
        if self.fault == "memory":
            raise MemoryError
        if self.fault == "address_space":  # as on a machine that has no more
            with open("/proc/self/statm") as statm:
                used = int(statm.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
            np.ones(2**28)
        if self.fault == "exit":
            os._exit(3)
        if self.fault == "system_exit":
            sys.exit("enough")
        if self.fault == "segv":
            ctypes.string_at(0)
        if self.fault == "hang":  # in native code, with the interpreter lock held
            ctypes.PyDLL(None).sleep(60)
        if self.fault == "doze":
            return ctypes.CDLL(None).usleep(600_000)
        if self.fault == "orphan":  # a child that holds the worker's pipes open
            if os.fork() == 0:
                ctypes.CDLL(None).sleep(3)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), getattr(signal, self.fault))


def nested():
    """Make an environment whose observations cannot be laid out."""
    env = ZooEnv()
    env.observation_space = spaces.Dict({"inner": spaces.Dict({"x": spaces.Discrete(2)})})
    return env
