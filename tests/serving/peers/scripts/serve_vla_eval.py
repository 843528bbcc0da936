"""A model server on vla-eval's PredictModelServer.

Usage: serve_vla_eval.py chunks|whole|batched LOG. Prints its port; notes episodes in LOG.
"""

import sys
import time
from pathlib import Path

import anyio
import numpy as np
from puck import push
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.model_servers.serve import serve_async
from vla_eval.specs import IMAGE_RGB, LANGUAGE, RAW, DimSpec

STEPS = 4


class PuckServer(PredictModelServer):
    """`chunks`: the server buffers; `whole`: the client gets all; `batched`: predict_batch."""

    def __init__(self, mode, log):
        options = {
            "chunks": {"chunk_size": STEPS},
            "whole": {},
            # No buffer: sessions whose buffers run empty at different steps never ask together.
            "batched": {"max_batch_size": 4, "max_wait_time": 0.05},
        }[mode]
        super().__init__(**options)
        self.log = log
        self.has_batched = False

    def note(self, text):
        with Path(self.log).open("a") as file:
            file.write(text + "\n")

    def get_action_spec(self):
        return {"force": DimSpec("force", 2, "position/table/delta")}

    def get_observation_spec(self):
        return {"image": IMAGE_RGB, "state": RAW, "language": LANGUAGE}

    async def on_episode_start(self, config, ctx):
        self.note(f"start {config['task']['name']}")
        await super().on_episode_start(config, ctx)

    async def on_episode_end(self, result, ctx):
        self.note("end")
        await super().on_episode_end(result, ctx)

    def predict_one(self, obs):
        state = np.asarray(obs["state"])
        image = obs["images"]["top"]
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        return {"actions": push(state, STEPS)}

    def predict(self, obs, ctx):
        self.note("call 1")
        if obs["task_description"] == "break":
            raise RuntimeError("out of memory")
        return self.predict_one(obs)

    def predict_batch(self, obs_batch, ctx_batch):
        self.note(f"call {len(obs_batch)}")
        self.has_batched |= len(obs_batch) > 1
        if not self.has_batched:
            time.sleep(0.5)  # A worker that starts early must not be done when others start.
        return [self.predict_one(obs) for obs in obs_batch]


async def main(mode, log):
    async with anyio.create_task_group() as group:
        port = await group.start(serve_async, PuckServer(mode, log), "127.0.0.1", 0)
        print(port, flush=True)


anyio.run(main, *sys.argv[1:])
