"""The parts of a checkpoint: one class for each thing that a run's future depends on."""

from roboyard.training.checkpoints.parts.base import CheckpointPart
from roboyard.training.checkpoints.parts.environments import EnvironmentsPart
from roboyard.training.checkpoints.parts.generators import GeneratorsPart
from roboyard.training.checkpoints.parts.learner import LearnerPart
from roboyard.training.checkpoints.parts.loop import LoopPart
from roboyard.training.checkpoints.parts.normalizer import NormalizerPart
from roboyard.training.checkpoints.parts.replay_buffer import ReplayPart

__all__ = [
    "CheckpointPart",
    "EnvironmentsPart",
    "GeneratorsPart",
    "LearnerPart",
    "LoopPart",
    "NormalizerPart",
    "ReplayPart",
]
