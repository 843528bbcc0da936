"""What the peers' own code says, for comparison.

Usage: reference.py OUT. Writes images resized by openpi-client, messages packed by both packages,
LIBERO observations made by vla-eval, and the specs that its benchmarks and servers declare.
"""

import json
import sys
from types import SimpleNamespace

import numpy as np
from openpi_client import image_tools, msgpack_numpy
from vla_eval.benchmarks.libero.benchmark import LIBEROBenchmark
from vla_eval.benchmarks.robotwin.benchmark import RoboTwinBenchmark
from vla_eval.model_servers.oft import OFTModelServer
from vla_eval.model_servers.pi0 import Pi0ModelServer
from vla_eval.protocol.messages import Message, MessageType, make_hello_payload, pack_message

SIZES = [(256, 256), (240, 320), (97, 61), (33, 224), (224, 33), (360, 480)]


def specs(found):
    return {name: spec.to_dict() for name, spec in found.items()}


def greeting(server):
    return make_hello_payload(
        model_server="x",
        observation_params=type(server).params(server),
        action_spec=specs(type(server).actions(server)),
        observation_spec=specs(type(server).observations(server)),
    )


class Oft(SimpleNamespace):
    """The server's own methods, without its network."""

    params = OFTModelServer.get_observation_params
    actions = OFTModelServer.get_action_spec
    observations = OFTModelServer.get_observation_spec


class Pi0(SimpleNamespace):
    params = Pi0ModelServer.get_observation_params
    actions = Pi0ModelServer.get_action_spec
    observations = Pi0ModelServer.get_observation_spec


def libero_observation(stream):
    raw = {
        "agentview_image": stream.integers(0, 256, (256, 256, 3), np.uint8),
        "robot0_eye_in_hand_image": stream.integers(0, 256, (256, 256, 3), np.uint8),
        "robot0_eef_pos": stream.normal(size=3),
        "robot0_eef_quat": np.array([0.6, 0.0, 0.8, 0.0]),
        "robot0_gripper_qpos": stream.normal(size=2),
    }
    benchmark = LIBEROBenchmark(send_wrist_image=True, send_state=True, quat_no_antipodal=True)
    controller = SimpleNamespace(ee_pos=np.zeros(3), ee_ori_mat=np.eye(3))
    benchmark._env = SimpleNamespace(robots=[SimpleNamespace(controller=controller)])
    return raw, benchmark.make_obs(raw, {"name": "lift it"})


def main(out):
    stream = np.random.default_rng(0)
    arrays = {}
    for height, width in SIZES:
        image = stream.integers(0, 256, (height, width, 3), np.uint8)
        arrays[f"image {height} {width}"] = image
        arrays[f"resized {height} {width}"] = image_tools.resize_with_pad(image, 224, 224)
    raw, seen = libero_observation(stream)
    arrays["raw agentview"] = raw["agentview_image"]
    arrays["raw wrist"] = raw["robot0_eye_in_hand_image"]
    arrays["sent agentview"] = seen["images"]["agentview"]
    arrays["sent wrist"] = seen["images"]["wrist"]
    arrays["sent states"] = seen["states"]
    openpi = {
        "observation/image": arrays["image 97 61"],
        "observation/state": np.arange(8.0),
        "prompt": "lift it",
        "number": np.float32(0.25),
        "deep": [{"flags": np.array([True, False])}],
    }
    arrays["openpi message"] = np.frombuffer(msgpack_numpy.packb(openpi), np.uint8)
    message = Message(MessageType.OBSERVATION, seen, seq=5)
    arrays["vla_eval message"] = np.frombuffer(pack_message(message), np.uint8)
    np.savez(out, **arrays)
    oft = Oft(num_images_in_input=2, use_proprio=True)
    pi0 = Pi0(wrist_image_key="w", state_key="s")
    libero = LIBEROBenchmark(send_wrist_image=True, send_state=True)
    texts = {
        "oft": greeting(oft),
        "pi0": greeting(pi0),
        "libero": [
            specs(libero.get_action_spec()),
            specs(libero.get_observation_spec()),
            list(seen),
            list(seen["images"]),
        ],
        "robotwin": [
            specs(RoboTwinBenchmark.get_action_spec(None)),
            specs(RoboTwinBenchmark.get_observation_spec(None)),
        ],
    }
    print(json.dumps(texts))


main(*sys.argv[1:])
