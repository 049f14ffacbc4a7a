"""Features extractors: what turns observations into the vector that the networks read."""

from __future__ import annotations

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    NatureCNN,
)

from roboyard.agents.algorithms import constructor_parameters
from roboyard.agents.spaces import AnySpace
from roboyard.config.networks import ExtractorConfig
from roboyard.errors import ConfigError
from roboyard.registry import Registry, suggest

EXTRACTORS: Registry[type] = Registry(
    "features extractor",
    {"flatten": FlattenExtractor, "nature_cnn": NatureCNN, "combined": CombinedExtractor},
)
"""Names for ``agent.network.extractor.type``; register one here to use it in YAML."""

SMALLEST_IMAGE = 36
"""Height and width [pixels] below which NatureCNN's last convolution has no output."""


def extractor_class(config: ExtractorConfig, observation_space: AnySpace) -> type:
    """Return the extractor's class; ``auto`` follows from the observation space.

    Raises:
        ConfigError: It is unknown, no features extractor, or unfit for the observations.
    """
    if config.type == "auto":
        found = _natural_extractor(observation_space)
    else:
        found = EXTRACTORS.resolve(config.type)
    if not (isinstance(found, type) and issubclass(found, BaseFeaturesExtractor)):
        raise ConfigError(
            f"agent.network.extractor.type '{config.type}' is {found!r}, which is not a class "
            "derived from stable_baselines3's BaseFeaturesExtractor."
        )
    _check_extractor(config, found, observation_space)
    return found


def _natural_extractor(observation_space: AnySpace) -> type[BaseFeaturesExtractor]:
    if isinstance(observation_space, spaces.Dict):
        return CombinedExtractor
    return NatureCNN if is_image_space(observation_space) else FlattenExtractor


def _check_extractor(config: ExtractorConfig, cls: type, observation_space: AnySpace) -> None:
    is_dict = isinstance(observation_space, spaces.Dict)
    if cls is NatureCNN and not is_image_space(observation_space):
        _refuse(config, observation_space, "images (uint8, 0 to 255, three dimensions)")
    if cls is CombinedExtractor and not is_dict:
        _refuse(config, observation_space, "Dict observations")
    if cls is FlattenExtractor and is_dict:
        _refuse(config, observation_space, "observations that are one array")
    allowed = [name for name in constructor_parameters(cls) if name != "observation_space"]
    for name in config.kwargs:
        if name not in allowed:
            raise ConfigError(
                f"agent.network.extractor.kwargs.{name}: '{cls.__name__}' has no argument "
                f"'{name}'. Allowed: {', '.join(allowed) or 'none'}.{suggest(name, allowed)}"
            )
    if issubclass(cls, NatureCNN | CombinedExtractor):
        _check_image_sizes(observation_space)


def _refuse(config: ExtractorConfig, observation_space: AnySpace, needs: str) -> None:
    raise ConfigError(
        f"agent.network.extractor.type '{config.type}' needs {needs}, but the observation space "
        f"is {observation_space}. Use 'auto', which fits the extractor to the observations."
    )


def _check_image_sizes(observation_space: AnySpace) -> None:
    parts = observation_space.values() if isinstance(observation_space, spaces.Dict) else ()
    for space in (*parts, observation_space):
        if is_image_space(space) and sorted(space.shape or ())[1] < SMALLEST_IMAGE:
            raise ConfigError(
                f"the CNN needs images of at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels, but "
                f"the observation's shape is {space.shape}. Render larger images, set "
                "agent.network.extractor.type: flatten, or name your own as 'module:Class'."
            )
