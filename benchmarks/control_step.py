"""Single control steps: ours against pybullet_envs_gymnasium, and how much of ours is physics.

    python benchmarks/control_step.py --rounds 15
    python benchmarks/control_step.py --rounds 3 --steps 200    # quick
    python benchmarks/control_step.py --against PATH    # another source tree, such as a release

With ``--against`` both trees' environments step in turn, in a process each, and nothing else runs.

One environment each on one core; both step the same seeded actions, resets left out, in turn,
round after round. Physics alone is the time inside ``stepSimulation`` and nothing else: the same
actions are stepped once more with that call timed, and the cost of timing it is taken off. What a
program that calls the engine from Python can reach at most is physics over physics plus the other
engine calls of the same step (reading joints, links and contacts, setting torques), which are
recorded in one step and repeated alone.
``SimpleRobotEnv`` has no peer; its rate includes resets.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import gymnasium
import numpy as np
import pybullet
import pybullet_envs_gymnasium  # noqa: F401  (registers its environments)
from common import machine, spread, table

PEERS = {
    "hopper-run": "HopperBulletEnv-v0",
    "ant-run": "AntBulletEnv-v0",
    "halfcheetah-run": "HalfCheetahBulletEnv-v0",
    "humanoid-run": "HumanoidBulletEnv-v0",
}


class TimedEngine:
    """The engine's module, with the time spent in ``stepSimulation`` added up."""

    def __init__(self, clock):
        self.seconds = 0.0
        self.calls = 0
        self._clock = clock

    def __getattr__(self, name):
        return getattr(pybullet, name)

    def stepSimulation(self, client):  # noqa: N802  (the engine's name)
        start = self._clock()
        pybullet.stepSimulation(client)
        self.seconds += self._clock() - start
        self.calls += 1


class Recorder:
    """Notes the calls that go through it to the engine's module, while it is on."""

    def __init__(self):
        self.calls = None
        for name in dir(pybullet):
            function = getattr(pybullet, name)
            if callable(function) and not isinstance(function, type):
                setattr(pybullet, name, self._noting(name, function))

    def _noting(self, name, function):
        def noting(*args, **kwargs):
            if self.calls is not None and name != "stepSimulation":
                self.calls.append(partial(function, *args, **kwargs))
            return function(*args, **kwargs)

        return noting


def engine_calls(task, actions, repeats=300):
    """Return the time of a control step's engine calls besides stepSimulation [s].

    To be called in a process that has not imported roboyard's own modules yet.
    """
    recorder = Recorder()
    from roboyard.envs.task_env import TaskEnv

    env = TaskEnv(task)
    env.reset(seed=0)
    for action in actions[:9]:
        env.step(action)
    recorder.calls = []
    env.step(actions[9])
    calls, recorder.calls = recorder.calls, None
    start = time.thread_time()
    for _ in range(repeats):
        for call in calls:
            call()
    spent = (time.thread_time() - start) / repeats
    env.close()
    return spent


def timing_cost(clock, repeats=20_000):
    """Return what two readings of the clock add to a timed span [s]."""
    spans = []
    for _ in range(repeats):
        start = clock()
        spans.append(clock() - start)
    return statistics.median(spans)


def stepped(env, actions, clock):
    """Return the time of the control steps alone [s]; an episode that ends starts anew."""
    env.reset(seed=0)
    spent, step = 0.0, env.step
    for action in actions:
        start = clock()
        _, _, terminated, truncated, _ = step(action)
        spent += clock() - start
        if terminated or truncated:
            env.reset()
    return spent


def physics(env, actions, clock):
    """Return the time inside stepSimulation in the same steps [s]."""
    from roboyard.sim.pybullet import world as world_module

    engine, kept = TimedEngine(clock), world_module.pybullet
    world_module.pybullet = engine
    try:
        stepped(env, actions, clock)
    finally:
        world_module.pybullet = kept
    return engine.seconds - engine.calls * timing_cost(clock)


def compare(task, options):
    """Return the table's row for a task."""
    from roboyard.envs.task_env import TaskEnv

    ours, theirs = TaskEnv(task), gymnasium.make(PEERS[task]).unwrapped
    clock = time.thread_time if options.cpu_time else time.perf_counter
    generator = np.random.default_rng(0)
    shape = (options.steps, *ours.action_space.shape)
    actions = list(generator.uniform(-1, 1, shape).astype(np.float32))
    for env in (ours, theirs):
        stepped(env, actions[:20], clock)
    rounds = []
    for _ in range(options.rounds):
        runs = (stepped, theirs), (stepped, ours), (physics, ours)
        times = [run(env, actions, clock) for run, env in runs]
        rounds.append([value / options.steps * 1e6 for value in times])
    ours.close()
    theirs.close()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        calls = min(pool.starmap(engine_calls, [(task, actions)] * 3)) * 1e6
    peer, own, engine = (list(column) for column in zip(*rounds, strict=True))
    ratios = [a / b for a, b in zip(peer, own, strict=True)]
    shares = [a / b for a, b in zip(engine, own, strict=True)]
    medians = [f"{statistics.median(column):.0f}" for column in (peer, own, engine)]
    reachable = min(engine) / (min(engine) + calls)
    least = f"{min(peer) / min(own):.2f}, {min(engine) / min(own):.2f}"
    columns = [spread(ratios), spread(shares), f"{reachable:.2f}", least]
    return [task, *medians, f"{calls:.0f}", *columns]


def simple_rates(options):
    """Return control steps per second of SimpleRobotEnv, by round."""
    from roboyard.envs.simple import SimpleRobotEnv

    env = SimpleRobotEnv()
    actions = list(np.random.default_rng(0).uniform(-1, 1, (2000, 1)).astype(np.float32))
    rates = []
    for _ in range(options.rounds + 1):
        env.reset(seed=0)
        start = time.perf_counter()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        rates.append(len(actions) / (time.perf_counter() - start))
    env.close()
    return rates[1:]


class Tree:
    """A process that steps an environment of one source tree when it is told to."""

    def __init__(self, folder, task, steps):
        paths = [str(Path(folder) / "src"), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", task, "--steps", str(steps)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def time(self):
        """Return the time of a round of control steps [s]."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self):
        self._process.communicate()


def serve(task, steps):
    """Step a round whenever a line comes in, and print its time."""
    from roboyard.envs.simple import SimpleRobotEnv
    from roboyard.envs.task_env import TaskEnv

    env = SimpleRobotEnv() if task == "simple" else TaskEnv(task)
    shape = (steps, *env.action_space.shape)
    actions = list(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))
    for _ in sys.stdin:
        print(stepped(env, actions, time.thread_time), flush=True)


def against(folder, options):
    """Print how this tree's control steps compare with those of another."""
    here = Path(__file__).parent.parent
    rows = []
    for task in ("simple", *options.tasks):
        trees = [Tree(place, task, options.steps) for place in (folder, here)]
        for tree in trees:
            tree.time()
        times = [[tree.time() for tree in trees] for _ in range(options.rounds)]
        for tree in trees:
            tree.close()
        theirs, ours = (min(column) / options.steps * 1e6 for column in zip(*times, strict=True))
        ratios = [other / own for other, own in times]
        rows.append([task, f"{theirs:.1f}", f"{ours:.1f}", f"{theirs / ours:.3f}", spread(ratios)])
    header = ["control step", "other [us]", "ours [us]", "rate from minima", "rate by round"]
    print(table(header, rows))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=500, help="control steps a round")
    parser.add_argument("--cpu-time", action="store_true", help="for busy machines")
    parser.add_argument("--against", metavar="PATH", help="another source tree as the peer")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.steps)
        return
    if options.against:
        against(options.against, options)
        return
    description = machine("numpy", "pybullet", "pybullet_envs_gymnasium")
    rows = [compare(task, options) for task in options.tasks]
    header = ["control step", "peer [us]", "ours [us]", "of it physics [us]"]
    header += ["other engine calls [us]", "times faster"]
    print(f"{options.rounds} rounds of {options.steps} control steps\n{description}\n")
    print(table([*header, "physics share", "reachable share", "both from minima"], rows))
    rates = simple_rates(options)
    print(f"\nSimpleRobotEnv: {spread(rates, 0)} control steps/s with resets on one core")


if __name__ == "__main__":
    main()
