"""A benchmark of vla-evaluation-harness, run by its own command line."""

from puck import MAX_STEPS, Puck
from vla_eval.benchmarks.base import StepBenchmark, StepResult
from vla_eval.specs import IMAGE_RGB, LANGUAGE, RAW, DimSpec


class PuckBenchmark(StepBenchmark):
    render_backends = frozenset({"gpu", "cpu"})

    @classmethod
    def configure_render(cls, mode):
        return {}

    def get_tasks(self):
        return [{"name": name, "suite": "puck"} for name in ("push it", "bring it home")]

    def reset(self, task):
        self.world = Puck(hash((len(task["name"]), task["episode_idx"])) % 1000)
        return self.world

    def step(self, action):
        self.world.step(action["actions"])
        return StepResult(obs=self.world, reward=0.0, done=self.world.over, info={})

    def make_obs(self, raw_obs, task):
        return {
            "images": {"top": raw_obs.image()},
            "state": raw_obs.state(),
            "task_description": task["name"],
        }

    def get_step_result(self, step_result):
        return {"success": self.world.solved}

    def get_metadata(self):
        return {"max_steps": MAX_STEPS}

    def get_action_spec(self):
        return {"force": DimSpec("force", 2, "position/table/delta")}

    def get_observation_spec(self):
        return {"image": IMAGE_RGB, "puck": RAW, "mark": RAW, "language": LANGUAGE}
