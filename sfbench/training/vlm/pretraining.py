"""The loop: pictures and questions in, a folder of start weights out."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from sfbench.contracts import Json, differences
from sfbench.errors import RunFolderError, StoppedError, UsageError
from sfbench.rollout.run_folder import write_atomically
from sfbench.rollout.seeds import derive_seed
from sfbench.training.checkpoint import (
    CHECKPOINTS,
    TRAINING_STATE,
    TrainingState,
    load_optimiser_moments,
    newest,
    optimiser_moments,
    read_state,
    tidy,
    written_whole,
)
from sfbench.training.metrics import MetricsLog
from sfbench.training.optimisation import (
    clip,
    inner_matrices,
    learning_rate,
    make_optimisers,
    set_learning_rate,
)
from sfbench.training.reporting import TrainReporter
from sfbench.training.settings import OptimiserConfig
from sfbench.training.streams import global_stream
from sfbench.training.vlm.pictures import Picture
from sfbench.training.vlm.questions import ANSWERS, Question, ask
from sfbench.training.vlm.reader import Reader

CARD_FILE = "vlm.yaml"
_SCORES = "scores"
"""Its key in the card."""
_RESUME_EVERY = 200
"""Steps between checkpoints."""
_HELD_OUT = 10
"""One picture in this many is kept for the test, and with it all others of its episode."""
_TESTED = 256
"""Questions of the test."""
_DETAIL = 4
"""Cells along a patch's side of which each is judged: a patch alone tells no place well enough."""
_SEEN_SHARE = 0.5
"""Share of a cell's pixels from which on it counts as showing a thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmSettings:
    """How it trains.

    Attributes:
        steps: optimiser steps.
        batch_size: questions of a step.
        lr: highest learning rate; it rises over a twentieth of the steps, and falls as a cosine.
        seed: of heads, questions and their order.
    """

    steps: int = 1000
    batch_size: int = 32
    lr: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers outside their range. Raises UsageError."""
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: allowed 1 or more")
        if self.lr <= 0:
            raise UsageError(f"lr={self.lr}: allowed more than 0")


@dataclass(frozen=True, slots=True)
class VlmScores:
    """Of questions about pictures of episodes that were not trained on.

    Attributes:
        places_iou: intersection over union of found and true cells, over all `where` questions.
        points_off: mean distance of the points told from the things' centres, as a share of the
            image's side, over the views that show them.
        answers_right: share of the other questions that were answered right.
        most_common: share that the most common answer alone would get right.
    """

    places_iou: float
    points_off: float
    answers_right: float
    most_common: float


def stored_scores(out: Path, card: Mapping[str, Json]) -> VlmScores | None:
    """The scores of a folder that is complete; None if it is not.

    Raises:
        RunFolderError: it was trained with another card.
    """
    if not (out / CARD_FILE).is_file():
        return None
    stored = yaml.safe_load((out / CARD_FILE).read_text(encoding="utf-8"))
    scores = stored.pop(_SCORES)
    if lines := differences(stored, card):
        raise RunFolderError(
            f"{out} was trained otherwise (stored -> asked for):\n  "
            + "\n  ".join(lines)
            + "\nName another out=, or remove it"
        )
    return VlmScores(**scores)


def held_out(pictures: Sequence[Picture], seed: int) -> tuple[list[Picture], list[Picture]]:
    """Pictures for the test, and pictures to train on, in random order; no episode is in both.

    Raises:
        UsageError: all are of one episode.
    """
    order = np.random.default_rng(derive_seed("held out", seed))
    mixed = [pictures[index] for index in order.permutation(len(pictures))]
    wanted = max(len(mixed) // _HELD_OUT, 1)
    episodes: set[str] = set()
    for picture in mixed:
        if sum(one.episode in episodes for one in mixed) >= wanted:
            break
        episodes.add(picture.episode)
    test = [one for one in mixed if one.episode in episodes]
    train = [one for one in mixed if one.episode not in episodes]
    if not train:
        raise UsageError(
            "scenes: the pictures are all of one episode; there have to be two, one of them for "
            "the test: type scenes=2 or more"
        )
    return test, train


class Heads(nn.Module):
    """What reads places, points and answers off hidden states; thrown away after pretraining.

    Places are read off the visual tokens, points and answers off the text's last token: to tell
    where a thing is there, the network has to look it up by its name, as a policy has to.
    """

    def __init__(self, width: int, views: int) -> None:
        super().__init__()
        self.places = nn.Linear(width, _DETAIL**2)
        self.points = nn.Linear(width, views * 2)
        self.answers = nn.Linear(width, len(ANSWERS))


class VlmTraining:
    """Pictures, a reader, and heads on it."""

    def __init__(
        self,
        reader: Reader,
        pictures: Sequence[Picture],
        cameras: Sequence[str],
        settings: VlmSettings,
        device: torch.device,
    ) -> None:
        self._reader, self._cameras, self._settings = reader, tuple(cameras), settings
        self._device = device
        self._test, self._train = held_out(pictures, settings.seed)
        with global_stream("vlm heads", settings.seed):
            self._heads = Heads(reader.width, len(cameras)).to(device)
        reader.module.to(device)
        self._optimiser_config = OptimiserConfig(
            kind="muon",
            lr=settings.lr,
            schedule="cosine",
            warmup_steps=max(settings.steps // 20, 1),
        )
        # Both in one module, so that a checkpoint names every weight once.
        self._trained = nn.ModuleDict({"reader": reader.module, "heads": self._heads})
        self._parameters = list(self._trained.parameters())
        self._optimisers = make_optimisers(
            self._parameters, self._optimiser_config, inner_matrices(reader.module)
        )

    def run(self, out: Path, reporter: TrainReporter, card: Mapping[str, Json]) -> VlmScores:
        """Train, from the newest checkpoint on if there is one; test, and complete the folder.

        Args:
            out: the folder; it has no weights before it is complete.
            reporter: is told how it goes.
            card: what losses depend on; it is written down beside the scores.

        Raises:
            RunFolderError: a checkpoint with another card, or a damaged one.
            StoppedError: a loss is not finite, or the folder cannot be written.
        """
        done = self._resume(out / CHECKPOINTS, card)
        if not done:
            self._save(out / CHECKPOINTS, 0, card)
        log = MetricsLog(out, done, tensorboard=False)
        reporter.on_start(done, self._settings.steps)
        self._trained.train()
        try:
            for step in range(done + 1, self._settings.steps + 1):
                start_s = time.perf_counter()
                line = self._step(step)
                log.write({"step": step, **line, "step_s": time.perf_counter() - start_s})
                reporter.on_step(step, sum(line["losses"].values()))
                if step % _RESUME_EVERY == 0:
                    self._save(out / CHECKPOINTS, step, card)
        finally:
            log.close()
            reporter.on_end()
        scores = self.test()
        self._reader.save(out)
        text = yaml.safe_dump({**card, _SCORES: asdict(scores)}, sort_keys=False)
        write_atomically(out / CARD_FILE, text)
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        return scores

    def _step(self, step: int) -> dict[str, Any]:
        rate = learning_rate(self._optimiser_config, step, self._settings.steps)
        set_learning_rate(self._optimisers, rate)
        losses = self._losses(self._draw(self._train, "ask", step, self._settings.batch_size))
        total = torch.stack(list(losses.values())).sum()
        if not bool(torch.isfinite(total)):
            raise StoppedError(f"the loss of step {step} is not finite; lower lr")
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        clip(self._parameters, self._optimiser_config.clip_norm)
        for optimiser in self._optimisers:
            optimiser.step()
        values = {name: float(value.detach()) for name, value in losses.items()}
        return {"losses": values, "lr": rate}

    def _save(self, checkpoints: Path, step: int, card: Mapping[str, Json]) -> None:
        tensors = {"weights": self._trained.state_dict()}
        for place, optimiser in enumerate(self._optimisers):
            tensors[f"moments_{place}"] = optimiser_moments(optimiser)
        with written_whole(checkpoints / str(step)) as folder:
            TrainingState(step, card, tensors).write(folder / TRAINING_STATE)
        tidy(checkpoints, set())

    def _resume(self, checkpoints: Path, card: Mapping[str, Json]) -> int:
        folder = newest(checkpoints)
        if folder is None:
            return 0
        state = read_state(folder, card)
        self._trained.load_state_dict(dict(state.tensors["weights"]))
        for place, optimiser in enumerate(self._optimisers):
            load_optimiser_moments(optimiser, state.tensors[f"moments_{place}"])
        return state.step

    @torch.no_grad()
    def test(self) -> VlmScores:
        """Ask about the pictures that are kept for it."""
        self._reader.module.eval()
        both = either = right = 0.0
        distances: list[Tensor] = []
        answers: list[int] = []
        size = self._settings.batch_size
        for part in range(-(-_TESTED // size)):
            asked = self._draw(self._test, "test", part, size)
            places, points, scores = self._predict(asked)
            for row, (_, question) in enumerate(asked):
                if question.places is None:
                    answers.append(question.answer)
                    right += int(scores[row].argmax()) == question.answer
                    continue
                centres, seen = _centres(torch.from_numpy(question.places)[None])
                distances.append((points[row].cpu() - centres[0]).norm(dim=-1)[seen[0]])
                true = torch.from_numpy(question.places) > _SEEN_SHARE
                found = places[row].cpu() > 0
                both += float((true & found).sum())
                either += float((true | found).sum())
        count = max(len(answers), 1)
        common = max((answers.count(one) for one in set(answers)), default=0)
        off = float(torch.cat(distances).mean())
        return VlmScores(both / max(either, 1.0), off, right / count, common / count)

    def _draw(
        self, pictures: Sequence[Picture], stream: str, step: int, count: int
    ) -> list[tuple[Picture, Question]]:
        random = np.random.default_rng(derive_seed(stream, self._settings.seed, step))
        chosen = [pictures[int(index)] for index in random.integers(len(pictures), size=count)]
        rows, columns = self._reader.grid
        cells = rows * _DETAIL, columns * _DETAIL
        return [(picture, ask(picture, self._cameras, cells, random)) for picture in chosen]

    def _predict(self, asked: Sequence[tuple[Picture, Question]]) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of cells [B, V, rows, columns], points [B, V, 2], scores of answers."""
        images = {
            name: np.stack([picture.images[name] for picture, _ in asked]) for name in self._cameras
        }
        views = torch.from_numpy(np.ascontiguousarray(self._reader.views(images)))
        pixels = views.to(self._device).permute(0, 1, 4, 2, 3).float() / 255
        texts = [question.text for _, question in asked]
        tokens, summary = self._reader.read(pixels, texts)
        rows, columns = self._reader.grid
        of_patches = self._heads.places(tokens).unflatten(-1, (_DETAIL, _DETAIL))
        places = of_patches.unflatten(2, (rows, columns)).transpose(3, 4).flatten(4).flatten(2, 3)
        points = self._heads.points(summary).unflatten(-1, (-1, 2))
        return places, points, self._heads.answers(summary)

    def _losses(self, asked: Sequence[tuple[Picture, Question]]) -> dict[str, Tensor]:
        places, points, scores = self._predict(asked)
        about_places = [row for row, (_, one) in enumerate(asked) if one.places is not None]
        others = [row for row, (_, one) in enumerate(asked) if one.places is None]
        losses = {}
        if about_places:
            shares = [one.places for _, one in asked if one.places is not None]
            wanted = torch.from_numpy(np.stack(shares)).to(self._device)
            losses["places"] = functional.binary_cross_entropy_with_logits(
                places[about_places].float(), wanted
            )
            centres, seen = _centres(wanted)
            if bool(seen.any()):
                losses["points"] = (points[about_places].float() - centres)[seen].abs().mean()
        if others:
            right = torch.tensor([asked[row][1].answer for row in others], device=self._device)
            losses["answers"] = functional.cross_entropy(scores[others].float(), right)
        return losses


def _centres(shares_BVRC: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of things [B, V, 2] (row, column; from 0 to 1), and who sees them [B, V]."""
    rows, columns = shares_BVRC.shape[-2:]
    mass = shares_BVRC.sum(dim=(-2, -1))
    row = (torch.arange(rows, device=mass.device) + 0.5) / rows
    column = (torch.arange(columns, device=mass.device) + 0.5) / columns
    sums = [(shares_BVRC.sum(dim=-1) * row).sum(-1), (shares_BVRC.sum(dim=-2) * column).sum(-1)]
    return torch.stack(sums, dim=-1) / mass.clamp(min=1e-6)[..., None], mass > _SEEN_SHARE
