"""Where metrics go: one writer a file."""

from roboyard.tracking.jsonl import JsonlWriter
from roboyard.tracking.tensorboard import TensorBoardWriter
from roboyard.tracking.writers import MetricWriter, RecordFile

__all__ = ["JsonlWriter", "MetricWriter", "RecordFile", "TensorBoardWriter"]
