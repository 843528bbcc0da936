"""openpi-client plays whole episodes with its own Runtime, ActionChunkBroker and websocket client.

Usage: drive_openpi.py PORT SEED EPISODES OUT [API_KEY]. Writes every question and answer to OUT.
"""

import json
import sys

import numpy as np
from openpi_client import action_chunk_broker, websocket_client_policy
from openpi_client.runtime import environment, runtime, subscriber
from openpi_client.runtime.agents import policy_agent
from puck import Puck


class PuckEnvironment(environment.Environment):
    def __init__(self, seed):
        self.seed, self.index = seed, -1

    def reset(self):
        self.index += 1
        self.world = Puck(self.seed + self.index)

    def is_episode_complete(self):
        return self.world.over

    def get_observation(self):
        return {
            "images": {"top": self.world.image()},
            "state": self.world.state(),
            "prompt": f"push {self.seed + self.index}",
        }

    def apply_action(self, action):
        self.world.step(action["actions"])


class Recording(websocket_client_policy.WebsocketClientPolicy):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.asked, self.answered = [], []

    def infer(self, obs):
        answer = super().infer(obs)
        self.asked.append(obs)
        self.answered.append(answer["actions"])
        return answer


class Results(subscriber.Subscriber):
    def __init__(self, world_of):
        self.world_of, self.solved = world_of, []

    def on_episode_start(self):
        pass

    def on_step(self, observation, action):
        pass

    def on_episode_end(self):
        self.solved.append(self.world_of().solved)


def main(port, seed, episodes, out, api_key=None):
    policy = Recording("127.0.0.1", int(port), api_key)
    world = PuckEnvironment(int(seed))
    results = Results(lambda: world.world)
    steps = policy.get_server_metadata()["sfbench"]["policy"]["chunk_steps"]
    broker = action_chunk_broker.ActionChunkBroker(policy, steps)
    agent = policy_agent.PolicyAgent(broker)
    runtime.Runtime(world, agent, [results], num_episodes=int(episodes)).run()
    np.savez(
        out,
        images=np.stack([item["images"]["top"] for item in policy.asked]),
        states=np.stack([item["state"] for item in policy.asked]),
        prompts=[item["prompt"] for item in policy.asked],
        chunks=np.stack(policy.answered),
    )
    print(json.dumps(results.solved))


main(*sys.argv[1:])
