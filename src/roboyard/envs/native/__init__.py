"""Tasks on MuJoCo models as they stand, Gymnasium's own among them, many stepped as one.

The environment is in ``env``, which needs MuJoCo; what is here does not.
"""

from roboyard.envs.native.tasks import list_native_tasks, load_native_task

__all__ = ["list_native_tasks", "load_native_task"]
