"""The first runs of a policy."""

from __future__ import annotations

import time

from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.serving.http.describe import example, zero_state
from roboyard.serving.model.batching import act
from roboyard.serving.model.messages import Query


def warm_up(policy: RuntimePolicy, rows: int) -> float:
    """Run a policy on zeros; return the time that a full batch keeps a core busy [s].

    Raises:
        PolicyError: It does not run.
    """
    contract = policy.contract
    for count in (1, rows, rows):
        state = zero_state(contract, count) if contract.is_recurrent else None
        start = time.thread_time()
        act(policy, [Query(example(contract, count), count, state)])
        seconds = time.thread_time() - start
    return seconds
