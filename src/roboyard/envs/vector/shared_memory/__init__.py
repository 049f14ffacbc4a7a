"""Environments in worker processes, with everything numeric in shared memory.

A few worker processes step several environments each, one after the other. A control step
costs one byte to each worker and one byte back; observations, actions, rewards and ends lie in
memory that all of them map.

==============  ==================================================================
``layout``      where each array lies in that memory
``channel``     bytes and messages over a pair of pipes
``lifeline``    a worker dies with its parent, however the parent ends
``process``     one worker process as the parent sees it
``worker``      what runs in it
``notes``       infos and ends of episodes, cheap to send
``failure``     errors on their way from worker to parent
``exchange``    requests, answers, and every way in which workers can end
``pool``        all workers as one vectorised environment
``choose``      how many workers are worth it
==============  ==================================================================

Nothing here imports torch or stable_baselines3, so workers start fast and stay small. The
``VecEnv`` over it is :mod:`roboyard.envs.vector.shared_memory_vec_env`.
"""

from __future__ import annotations

from roboyard.envs.vector.shared_memory.pool import InfoMode, StepResult, WorkerPool
from roboyard.envs.vector.shared_memory.worker_count import choose_workers, measure_step_cost

__all__ = [
    "InfoMode",
    "StepResult",
    "WorkerPool",
    "choose_workers",
    "measure_step_cost",
]
