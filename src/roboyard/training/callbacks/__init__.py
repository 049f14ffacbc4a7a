"""Callbacks: each watches a run for one purpose."""

from roboyard.training.callbacks.base import Boundary, Every, RunCallback, StopRequest
from roboyard.training.callbacks.callback_list import RunCallbackList
from roboyard.training.callbacks.checkpoint import CheckpointCallback, StatusCallback
from roboyard.training.callbacks.early_stop import EarlyStopCallback
from roboyard.training.callbacks.evaluation import EvaluationCallback
from roboyard.training.callbacks.metrics import MetricsCallback
from roboyard.training.callbacks.nan_guard import NanGuardCallback
from roboyard.training.callbacks.progress import ProgressCallback
from roboyard.training.callbacks.upload import LeaseCallback, UploadCallback
from roboyard.training.callbacks.user import make_user_callbacks
from roboyard.training.callbacks.video import VideoCallback

__all__ = [
    "Boundary",
    "CheckpointCallback",
    "EarlyStopCallback",
    "EvaluationCallback",
    "Every",
    "LeaseCallback",
    "MetricsCallback",
    "NanGuardCallback",
    "ProgressCallback",
    "RunCallback",
    "RunCallbackList",
    "StatusCallback",
    "StopRequest",
    "UploadCallback",
    "VideoCallback",
    "make_user_callbacks",
]
