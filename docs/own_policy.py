"""A policy of one's own: holds every joint where the episode found it."""

import numpy as np

from sfbench.contracts import CameraNeed, PolicySpec, RunsIn


class MyPolicy:
    def __init__(self, context, checkpoint=None):
        env = context.env_spec
        self.spec = PolicySpec(
            name="my_policy",
            runs_in=RunsIn.MAIN,
            cameras=(CameraNeed(name="head_camera"),),  # rendered only when act() is called
            action=env.action,  # declare what your network was trained for; a mismatch is refused
            state=env.state,
            chunk_steps=8,
            open_loop_steps=8,
        )

    def reset(self, slot, context):
        """A new episode: context.episode.instruction, context.seed."""

    def act(self, observations, slots):
        """One chunk of actions [8, A] for each observation."""
        return [np.repeat(seen.state[None], 8, axis=0) for seen in observations]

    def close(self):
        """Free what there is to free."""
