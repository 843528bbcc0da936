"""A policy server on openpi-client's message module, as openpi's own server is one.

Usage: serve_openpi.py STEPS. Prints its port.
"""

import asyncio
import sys

import numpy as np
from openpi_client import msgpack_numpy
from puck import push
from websockets.asyncio.server import serve


class Policy:
    def infer(self, obs):
        image, state = obs["observation/image"], obs["observation/state"]
        assert image.shape == (3, 24, 24), image.shape
        assert image.dtype == np.uint8
        assert isinstance(obs["prompt"], str)
        assert set(obs) == {"observation/image", "observation/state", "prompt"}, set(obs)
        return {
            "actions": push(state, int(sys.argv[1])).astype(np.float32),
            "state": state,
            "policy_timing": {"infer_ms": np.float32(1.5)},
        }


async def handle(websocket):
    packer = msgpack_numpy.Packer()
    await websocket.send(packer.pack({"reset_pose": np.zeros(3), "name": "puck"}))
    async for data in websocket:
        await websocket.send(packer.pack(Policy().infer(msgpack_numpy.unpackb(data))))


async def main():
    async with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
