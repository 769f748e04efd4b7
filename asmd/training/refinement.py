"""Training the box-refinement head on a frozen trunk: pairs of views of one target, and boxes that miss it.

The first view of a pair stands for the first frame of a video, the second for a later one. Boxes about the target of
the second are moved, several times in a row, each time from where the head has put them, as in tracking.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from asmd.errors import ConfigError, DatasetError
from asmd.models.box_refinement import MOVE_SCALE, BoxRefinement, RefinementConfig, moved, moves_between
from asmd.models.st_resnet import SpatiotemporalResNet
from asmd.sequence import Sequence
from asmd.training.domains import usable_frames
from asmd.training.refinement_views import Pool, View, ViewConfig, Viewer

ELSEWHERE = 1.6
"""Mean sides by which boxes elsewhere are shifted at most: a region of 4.5, the tracker's, then holds nearly all."""


@dataclass(frozen=True)
class RefinementTrainingConfig:
    """Settings of the training.

    Attributes:
        model: form of the head.
        views: how footage becomes views.
        steps: iterations.
        pairs: pairs of views in an iteration.
        boxes: boxes of each pair, half of them near the target and half further off.
        rounds: times that a box is moved in an iteration.
        rate: greatest learning rate of AdamW; it rises over `warm_up` iterations and falls by a cosine to 0.
        warm_up: see `rate`.
        weight_decay: of AdamW.
        clip: greatest norm of the gradient.
        invented: share of pairs that are two looks at a box that nobody annotated, where there are such.
        dropped: share of projected channels that a pair goes without.
        log_every: iterations between two reports.
    """

    model: RefinementConfig = field(default_factory=RefinementConfig)
    views: ViewConfig = field(default_factory=ViewConfig)
    steps: int = 800
    pairs: int = 20
    boxes: int = 6
    elsewhere: int = 3
    rounds: int = 2
    rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 0.01
    clip: float = 5.0
    invented: float = 0.35
    dropped: float = 0.0
    log_every: int = 50

    def __post_init__(self) -> None:
        if min(self.steps, self.pairs, self.rounds, self.log_every, self.warm_up) < 1 or self.boxes < 2:
            raise ConfigError("refinement needs steps, pairs, rounds, warm_up and log_every of at least 1, boxes of 2")
        if self.elsewhere < 0:
            raise ConfigError("refinement needs elsewhere of at least 0")
        if not (0 <= self.invented < 1 and 0 <= self.dropped < 1):
            raise ConfigError("refinement needs shares invented and dropped in 0..1, below 1")


@dataclass(frozen=True)
class RefinementProgress:
    """Means since the last report: loss, and IoU with the target before and after a round."""

    step: int
    loss: float
    before: float
    after: float


def train_refinement(
    trunk: SpatiotemporalResNet,
    domains: Rows[Sequence],
    config: RefinementTrainingConfig | None = None,
    *,
    clips: Rows[Sequence] = (),
    seed: int = 0,
    progress: Callable[[RefinementProgress], None] = lambda _: None,
    skipped: Callable[[str], None] = lambda _: None,
) -> BoxRefinement:
    """Trains a head for a trunk from scratch.

    Args:
        trunk: in evaluation mode, see `asmd.checkpoints.build_network`; it is not changed.
        domains: annotated sequences.
        config: settings.
        clips: sequences, annotated or not, in which boxes are invented where `config.views.objects` asks for them.
        seed: decides every draw: on one machine, with as many threads, the same seed gives the same head.
        progress: told of every `log_every` iterations.
        skipped: told of sequences that cannot be read.

    Returns:
        The head, in evaluation mode.

    Raises:
        DatasetError: if no sequence has two frames to learn from.
    """
    config = config or RefinementTrainingConfig()
    viewer = Viewer(trunk, config.model.stages, config.views)
    pools = viewer.pools(domains, seed, skipped)
    if not pools:
        raise DatasetError("box refinement has no sequence with two frames that can be learnt from")
    invented = viewer.objects(clips, seed, skipped) if config.views.objects and config.invented else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = BoxRefinement(config.model)
    fit(head, pools, invented, viewer.strides, config, seed, progress)
    return head.eval()


def fit(
    head: BoxRefinement,
    pools: Rows[Pool],
    invented: Rows[Pool],
    strides: Rows[int],
    config: RefinementTrainingConfig,
    seed: int,
    progress: Callable[[RefinementProgress], None] = lambda _: None,
) -> None:
    """Trains a head on views that are at hand; arguments as for `train_refinement`."""
    rng = np.random.default_rng([seed, 1])
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    everything = [*pools, *invented]
    chances = np.array([pool.weight for pool in everything])
    chances[: len(pools)] *= (1 - config.invented if invented else 1.0) / chances[: len(pools)].sum()
    if invented:
        chances[len(pools) :] *= config.invented / chances[len(pools) :].sum()
    recent: list[tuple[float, float, float]] = []
    head.train()
    for step in range(config.steps):
        for group in optimiser.param_groups:
            cosine = 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
            group["lr"] = config.rate * min(1.0, (step + 1) / config.warm_up) * cosine
        drawn = [everything[i] for i in rng.choice(len(everything), config.pairs, p=chances)]
        pairs = [tuple(pool.views[i] for i in rng.choice(len(pool.views), 2, replace=False)) for pool in drawn]
        loss, before, after = _losses(head, pairs, strides, config, rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), config.clip)
        optimiser.step()
        recent.append((loss.item(), before, after))
        if (step + 1) % config.log_every == 0:
            progress(RefinementProgress(step + 1, *np.mean(recent, axis=0).tolist()))
            recent.clear()


def _losses(
    head: BoxRefinement,
    pairs: Rows[tuple[View, ...]],
    strides: Rows[int],
    config: RefinementTrainingConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, float, float]:
    """The loss of a batch, and the mean IoU of boxes about the targets before the first and after the last round."""
    near, count = config.boxes // 2, config.boxes + config.elsewhere
    targets, own, goals, encoded = [], [], [], []
    for first, second in pairs:
        # Nobody draws the first box exactly.
        drawn = jittered(first.box, 1, 0.02, 0.03, 0.02, rng)
        targets.append(head.pool(head.encode(first.maps), _corners(drawn), strides))
        encoded.append(head.encode(second.maps))
        own.append(jittered(second.box, near, 0.1, 0.15, 0.1, rng))
        own.append(jittered(second.box, config.boxes - near, 0.2, 0.3, 0.2, rng))
        own.append(scattered(second.box, config.elsewhere, ELSEWHERE, rng))
        goals.append(second.box.expand(count, 4))
    kept = torch.from_numpy(rng.random((len(pairs), 1, 1, head.config.projected)) >= config.dropped).float()
    kept /= 1 - config.dropped
    target, box, goal = torch.cat(targets) * kept, torch.cat(own), torch.cat(goals)
    kept = kept.repeat_interleave(count, dim=0)
    total = torch.zeros(())
    start = end = 0.0
    for turn in range(config.rounds):
        parts = zip(encoded, torch.split(box, count), strict=True)
        seen = torch.cat([head.pool(maps, _corners(part), strides) for maps, part in parts])
        out = head(seen * kept, target)
        overlap = overlaps(box, goal)[0]
        scale = torch.tensor(MOVE_SCALE)
        error = smooth_l1_loss(out.moves / scale, moves_between(box, goal) / scale, beta=0.5, reduction="none")
        after = moved(box, torch.cat([out.moves[:, :2].clamp(-1, 1), out.moves[:, 2:].clamp(-0.7, 0.7)], dim=1))
        reached, general = overlaps(after, goal)
        each = 0.25 * error.sum(1) + 2 * (1 - general)
        # From further off the target cannot be told from what is beside it.
        close = (overlap > 0.25).float()
        total = total + (each * close).sum() / close.sum().clamp_min(1)
        total = total + 4 * (out.quality.sigmoid() - overlap).square().mean()
        before, end = (_nearby(ious, len(pairs), config.boxes) for ious in (overlap, reached))
        start = before if turn == 0 else start
        box = after.detach()
    return total, start, end


def _nearby(ious: Tensor, pairs: int, boxes: int) -> float:
    """Mean over the boxes about the targets, which come first of each pair."""
    return ious.view(pairs, -1)[:, :boxes].mean().item()


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., CVPR 2019) of boxes (N, 4) x, y, w, h with as many others."""
    one, other = _corners(a), _corners(b)
    shared = torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])
    inter = shared.clamp_min(0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - inter
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    ratio = inter / union
    return ratio, ratio - (hull - union) / hull


def jittered(box: Tensor, count: int, shift: float, scale: float, aspect: float, rng: np.random.Generator) -> Tensor:
    """Boxes about a box.

    Args:
        box: (4,) x, y, w, h.
        count: N.
        shift: standard deviation of the centre's shift, in sides.
        scale: of the logarithm of the size.
        aspect: of half the logarithm of the aspect.
        rng: generator.

    Returns:
        (N, 4); every draw is clipped at two standard deviations.
    """
    draws = torch.from_numpy(rng.standard_normal((count, 4)).clip(-2, 2)).float()
    size, form = scale * draws[:, 2], aspect * draws[:, 3]
    return moved(
        box.expand(count, 4), torch.cat([shift * draws[:, :2], size[:, None] + torch.stack([form, -form], 1)], 1)
    )


def scattered(box: Tensor, count: int, reach: float, rng: np.random.Generator) -> Tensor:
    """Boxes of about the size of a box (4,), shifted evenly by up to `reach` mean sides either way: (N, 4)."""
    draws = torch.from_numpy(rng.uniform(-1, 1, (count, 3))).float()
    shifts = reach * draws[:, :2] * box[2:].prod().sqrt() / box[2:]
    return moved(box.expand(count, 4), torch.cat([shifts, 0.2 * draws[:, 2:].expand(count, 2)], dim=1))


@torch.inference_mode()
def mean_overlaps(
    head: BoxRefinement,
    trunk: SpatiotemporalResNet,
    sequences: Rows[Sequence],
    *,
    frames: int = 20,
    boxes: int = 8,
    rounds: int = 2,
    scale: float = 4.5,
    seed: int = 0,
    region_size: int = 257,
) -> dict[str, list[float]]:
    """How much closer the head brings boxes on sequences that it has not seen, told the target by the first frame.

    Args:
        head: in evaluation mode.
        trunk: likewise.
        sequences: annotated.
        frames: of each, spread over it.
        boxes: of each frame; their errors are about those of a tracker.
        rounds: times that they are moved.
        scale: side of the region, in mean sides of the target.
        seed: decides the errors.
        region_size: side of the region in network pixels.

    Returns:
        name -> mean IoU before, and after each round.
    """
    viewer = Viewer(trunk, head.config.stages, ViewConfig(region_size=region_size))
    found = {}
    for sequence in sequences:
        usable = usable_frames(sequence)
        picks = np.unique(usable[np.linspace(0, len(usable) - 1, frames + 1).round().astype(int)])
        rng = np.random.default_rng(seed)
        views = [viewer.plain(sequence.frames[int(i)], sequence.boxes[i], scale) for i in picks]
        target = head.pool(head.encode(views[0].maps), _corners(views[0].box[None]), viewer.strides)
        rows = []
        for view in views[1:]:
            box, goal = jittered(view.box, boxes, 0.12, 0.2, 0.12, rng), view.box.expand(boxes, 4)
            encoded = head.encode(view.maps)
            row = [overlaps(box, goal)[0].mean().item()]
            for _ in range(rounds):
                box = moved(box, head(head.pool(encoded, _corners(box), viewer.strides), target).moves)
                row.append(overlaps(box, goal)[0].mean().item())
            rows.append(row)
        found[sequence.name] = np.mean(rows, axis=0).tolist() if rows else []
    return found


def _corners(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
