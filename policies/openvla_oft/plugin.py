"""Entry points of the OpenVLA family."""

from sfbench.registry import PolicyPlugin

_HERE = "sfbench_policies.openvla_oft"

OPENVLA_7B = PolicyPlugin(
    name="openvla_7b",
    version="1",
    summary="OpenVLA 7B and its fine-tuned checkpoints: one image, action tokens one by one",
    factory=f"{_HERE}.factory:make_openvla_7b",
    trainable=f"{_HERE}.trainable:make_7b",
    fetch=f"{_HERE}.fetching:fetch",
    config=f"{_HERE}.config:OpenVla7bConfig",
    config_package=f"{_HERE}.configs",
    suite_preset="openvla_oft",
)
OPENVLA_OFT_7B = PolicyPlugin(
    name="openvla_oft_7b",
    version="1",
    summary="OpenVLA-OFT 7B: two images and state, 8 actions a call",
    factory=f"{_HERE}.factory:make_openvla_oft_7b",
    trainable=f"{_HERE}.trainable:make_oft_7b",
    fetch=f"{_HERE}.fetching:fetch",
    config=f"{_HERE}.config:OpenVlaOft7bConfig",
    config_package=f"{_HERE}.configs",
    suite_preset="openvla_oft",
)
OPENVLA_OFT_7B_SF = PolicyPlugin(
    name="openvla_oft_7b_sf",
    version="1",
    summary="OpenVLA-OFT 7B fine-tuned with Spatial Forcing: same code, other checkpoints",
    factory=f"{_HERE}.factory:make_openvla_oft_7b_sf",
    trainable=f"{_HERE}.trainable:make_oft_7b",
    fetch=f"{_HERE}.fetching:fetch",
    config=f"{_HERE}.config:OpenVlaOft7bConfig",
    config_package=f"{_HERE}.configs",
    suite_preset="spatial_forcing",
)
OPENVLA_OFT_MINI = PolicyPlugin(
    name="openvla_oft_mini",
    version="1",
    summary="OpenVLA-OFT at 6 million parameters: trained on a CPU, for any suite",
    factory=f"{_HERE}.factory:make_openvla_oft_mini",
    trainable=f"{_HERE}.trainable:make_mini",
    reader=f"{_HERE}.reader:make_mini_reader",
    config=f"{_HERE}.config:SmallConfig",
)
OPENVLA_OFT_MICRO = PolicyPlugin(
    name="openvla_oft_micro",
    version="1",
    summary="OpenVLA-OFT at half a million parameters: for tests",
    factory=f"{_HERE}.factory:make_openvla_oft_micro",
    trainable=f"{_HERE}.trainable:make_micro",
    reader=f"{_HERE}.reader:make_micro_reader",
    config=f"{_HERE}.config:SmallConfig",
)
