"""A puck that has to reach a mark, in numpy: what the peers play, without a simulator."""

import numpy as np

IMAGE_PX = 32
MAX_STEPS = 60


class Puck:
    """Positions in m; a force moves the puck at once."""

    def __init__(self, seed):
        stream = np.random.default_rng(seed)
        angle = stream.uniform(0, 2 * np.pi)
        self.puck = np.zeros(2)
        self.mark = 0.4 * np.array([np.cos(angle), np.sin(angle)])
        self.steps = 0

    def step(self, force):
        force = np.asarray(force, np.float64)
        assert force.shape == (2,), force.shape
        self.puck = self.puck + 0.05 * np.clip(force, -2, 2)
        self.steps += 1

    @property
    def solved(self):
        return bool(np.linalg.norm(self.puck - self.mark) < 0.1)

    @property
    def over(self):
        return self.solved or self.steps >= MAX_STEPS

    def state(self):
        return np.concatenate([self.puck, self.mark])

    def image(self):
        """A picture that depends on the position, uint8 [H, W, 3]."""
        rows, columns = np.mgrid[0:IMAGE_PX, 0:IMAGE_PX] / IMAGE_PX - 0.5
        out = np.zeros((IMAGE_PX, IMAGE_PX, 3), np.uint8)
        for channel, (x, y) in enumerate((self.puck, self.mark)):
            far = np.hypot(columns - x, rows - y)
            out[..., channel] = np.uint8(255 * np.exp(-8 * far))
        return out


def push(state, steps):
    """What solves it: forces [steps, 2]."""
    return np.tile(5 * (state[2:] - state[:2]), (steps, 1))
