"""Algorithms of a user's own; importable from anywhere in the tests."""

from roboyard.agents.torch.sac import SAC


class CalmSAC(SAC):
    """SAC whose actions are pulled to the middle."""

    def __init__(self, *args, calm=1.0, **kwargs):
        self.calm = calm
        super().__init__(*args, **kwargs)

    def _sample_action(self, *args, **kwargs):
        action, buffered = super()._sample_action(*args, **kwargs)
        return self.calm * action, self.calm * buffered
