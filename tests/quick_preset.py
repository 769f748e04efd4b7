"""`realtime` with a smaller region and fewer samples, for tests of what does not depend on how well it tracks."""

from dataclasses import replace

from asmd.tracking.candidates import SampleConfig
from asmd.tracking.config import TrackerConfig

PRESET = TrackerConfig.realtime()
QUICK = replace(
    PRESET,
    features=replace(PRESET.features, region_size=129),
    sampling=replace(
        PRESET.sampling,
        initial_near=SampleConfig("uniform", 1, 10, 300, max_iou=0.5),
        initial_whole=100,
        augmentations=(),
    ),
    overlap=replace(PRESET.overlap, samples=200),
    regression=replace(PRESET.regression, samples=200),
)
