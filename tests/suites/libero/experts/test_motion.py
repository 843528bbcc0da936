"""The geometry under the motions."""

import numpy as np
from sfbench_suites.libero.experts.motion import facing, rotated, rotation_vector


def test_rotation_vector_undoes_rotated() -> None:
    rng = np.random.default_rng(0)
    for angle in (1e-6, 0.3, 1.5, 3.0):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        np.testing.assert_allclose(rotation_vector(rotated(axis, angle)), angle * axis, atol=1e-7)


def test_a_positive_turn_about_z_takes_x_to_y() -> None:
    turned = rotated(np.array([0.0, 0.0, 1.0]), np.pi / 2) @ np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(turned, [0.0, 1.0, 0.0], atol=1e-12)


def test_facing_is_a_rotation_with_fingers_across_the_approach() -> None:
    approach = np.array([0.0, -0.6, -0.8])
    turn = facing(approach, np.array([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.isclose(np.linalg.det(turn), 1.0)
    np.testing.assert_allclose(turn[:, 2], approach)
    assert turn[0, 0] > 0.5
