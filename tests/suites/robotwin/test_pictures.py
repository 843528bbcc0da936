"""The contact sheet and the mosaic video."""

from pathlib import Path

import imageio.v3 as iio
import pytest
from sfbench_suites.robotwin import pictures
from sfbench_suites.robotwin.tasks import all_tasks


def test_sheet_and_video_show_every_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: all_tasks()[name] for name in ("click_bell", "turn_switch")}
    monkeypatch.setattr(pictures, "all_tasks", lambda: few)
    sheet, video = tmp_path / "sheet.png", tmp_path / "mosaic.mp4"
    pictures.main(["--sheet", str(sheet), "--video", str(video)])
    image = iio.imread(sheet)
    assert image.shape[:2] == (196, 4 * 2 * 240)
    cells = [image[16:, at : at + 240, :3].astype(float) for at in range(0, 4 * 240, 240)]
    assert all(cell.std() > 20 for cell in cells)
    assert abs(cells[0] - cells[1]).mean() > 5  # clean against randomised
    frames = iio.imread(video)
    assert 15 < len(frames) < 60
    assert abs(frames[0].astype(float) - frames[-1]).mean() > 0.5
