"""The parts of a checkpoint: one class for each thing that a run's future depends on."""

from roboyard.training.parts.base import CheckpointPart
from roboyard.training.parts.environments import EnvironmentsPart
from roboyard.training.parts.generators import GeneratorsPart
from roboyard.training.parts.learner import LearnerPart
from roboyard.training.parts.loop import LoopPart
from roboyard.training.parts.normalizer import NormalizerPart
from roboyard.training.parts.replay import ReplayPart

__all__ = [
    "CheckpointPart",
    "EnvironmentsPart",
    "GeneratorsPart",
    "LearnerPart",
    "LoopPart",
    "NormalizerPart",
    "ReplayPart",
]
