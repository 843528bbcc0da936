"""The contact sheet and the mosaic video: `python -m sfbench_suites.robotwin.pictures`.

Shows every task half-way through its expert's episode, in the clean and the randomised setting.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sfbench.contracts import Split
from sfbench.sim import gl

from .config import ActionSpace
from .control import make_control
from .env import RobotwinEnv
from .spec import VIDEO_CAMERA, env_spec
from .states import FIRST_CANDIDATE, Setting, StateList
from .suite import axes_of, own_model
from .tasks import all_tasks
from .verify import config_of

_WIDTH, _HEIGHT, _CAPTION = 240, 180, 16
_SHEET_COLUMNS, _MOSAIC_COLUMNS = 4, 6
_HALF_WAY = 0.55
_EVERY, _VIDEO_HZ, _VIDEO_S = 2, 20, 10
"""Every second control step is a frame, shown at twice the real speed."""

Frame = NDArray[np.uint8]


def demo_env(task: str, setting: Setting) -> RobotwinEnv:
    """An Env that starts from training candidates."""
    config = config_of(setting, ActionSpace.QPOS)
    config.video_width, config.video_height = _WIDTH, _HEIGHT
    first = FIRST_CANDIDATE[Split.TRAIN]
    return RobotwinEnv(
        own_model(task, config),
        all_tasks()[task],
        env_spec(config),
        make_control(config.action_space),
        StateList(task, Split.TRAIN, range(first, first + 100)),
        axes_of(config),
    )


def episode(task: str, setting: Setting) -> list[Frame]:
    """Frames of the video camera during one expert's episode."""
    env = demo_env(task, setting)
    env.reset(3, seed=3)
    expert, frames = env.expert(), []
    for step in range(all_tasks()[task].budget_steps):
        if step % _EVERY == 0:
            frames.append(env.observe([VIDEO_CAMERA]).images[VIDEO_CAMERA])
        if env.success():
            break
        env.step(expert.act())
    env.close()
    return frames


def captioned(frame: Frame, text: str) -> Frame:
    """The frame with a line of text above."""
    picture = Image.new("RGB", (frame.shape[1], frame.shape[0] + _CAPTION), "white")
    picture.paste(Image.fromarray(frame), (0, _CAPTION))
    ImageDraw.Draw(picture).text((4, 2), text, fill="black")
    return np.asarray(picture)


def grid(cells: list[Frame], columns: int) -> Frame:
    """Pictures of one size in rows; white where the last row is short."""
    blank = np.full_like(cells[0], 255)
    cells = cells + [blank] * (-len(cells) % columns)
    rows = [np.concatenate(cells[at : at + columns], 1) for at in range(0, len(cells), columns)]
    return np.concatenate(rows, 0)


def sheet(stills: dict[str, list[Frame]]) -> Frame:
    """Every task twice, side by side: clean, and randomised."""
    cells = [captioned(np.concatenate(pair, 1), task) for task, pair in stills.items()]
    return grid(cells, _SHEET_COLUMNS)


def mosaic(films: dict[str, list[Frame]]) -> list[Frame]:
    """Every task at once; a film that has ended stands still."""
    frames = []
    for at in range(min(max(map(len, films.values())), _VIDEO_S * _VIDEO_HZ)):
        cells = [captioned(film[min(at, len(film) - 1)], task) for task, film in films.items()]
        whole = Image.fromarray(grid(cells, _MOSAIC_COLUMNS))
        # Video codecs want sides that are multiples of 16.
        width, height = (side * 2 // 3 // 16 * 16 for side in whole.size)
        frames.append(np.asarray(whole.resize((width, height))))
    return frames


def main(words: Sequence[str] | None = None) -> None:
    """Command line; `words` stand in for the process's own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, default=Path("docs/robotwin.png"))
    parser.add_argument("--video", type=Path, help="also write the mosaic video there")
    parser.add_argument("--gl", choices=list(gl.GlBackend), default=gl.GlBackend.EGL)
    arguments = parser.parse_args(words)
    if not gl.is_created():
        gl.configure(gl.GlBackend(arguments.gl))
    stills: dict[str, list[Frame]] = {}
    films: dict[str, list[Frame]] = {}
    for task in all_tasks():
        both = [episode(task, setting) for setting in Setting]
        stills[task] = [film[int(_HALF_WAY * len(film))] for film in both]
        if arguments.video:
            films[task] = both[-1]
    picture = Image.fromarray(sheet(stills))
    # 256 colours keep the file small enough for a repository.
    picture.quantize(256, dither=Image.Dither.NONE).save(arguments.sheet, optimize=True)
    print(arguments.sheet)
    if arguments.video:
        iio.imwrite(arguments.video, np.stack(mosaic(films)), fps=_VIDEO_HZ, codec="libx264")
        print(arguments.video)


if __name__ == "__main__":
    main()
