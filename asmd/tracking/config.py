"""All settings of the tracker, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, field

from asmd.errors import ConfigError
from asmd.flow import FlowConfig
from asmd.models.st_resnet import STResNetConfig
from asmd.tracking.box_regression import BoxRegressionConfig
from asmd.tracking.candidates import SampleConfig
from asmd.tracking.classifier import ClassifierConfig
from asmd.tracking.confidence import ConfidenceConfig
from asmd.tracking.features import FeatureConfig
from asmd.tracking.memory import MemoryConfig
from asmd.tracking.mining import MiningConfig
from asmd.tracking.overlap import OverlapConfig


@dataclass(frozen=True)
class SearchConfig:
    """Where the target is looked for, and which box is reported.

    Attributes:
        candidates: drawn each frame.
        shift: greatest shift of a candidate, in mean sides (MDNet's trans_f).
        scale: greatest change of size, as an exponent of 1.05.
        success: log-odds from which the target counts as found: the frame is learnt from, and the box regressed.
        growth: the shift is multiplied by this on a frame where the target is not found.
        max_shift: up to here.
        resize: while the target is not found, the box grows and shrinks by no more than this factor from its size when
            last seen; 0 leaves it free.
        judged: of the best candidates so many are judged by the head for box regression as well, where there is one.
        judgement: weight of its logit of their overlap with the target, beside the classifier's log-odds.
        best: candidates that are averaged; 1 is the paper's, 5 MDNet's.
        follow: share of the regressed box in the state that the next frame starts from; MDNet's is 0.
        flow_share: share of the candidates that is drawn about the place to which the flow inside the box has moved it.
    """

    candidates: int = 256
    shift: float = 0.6
    scale: float = 1.0
    success: float = -0.35
    growth: float = 1.1
    max_shift: float = 1.5
    resize: float = 1.2
    judged: int = 16
    judgement: float = 4.0
    best: int = 5
    follow: float = 0.0
    flow_share: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.candidates:
            raise ConfigError(f"search needs 1 <= best <= candidates, got {self.best} and {self.candidates}")
        if self.judged < 0 or self.judgement < 0:
            raise ConfigError("search needs judged and judgement of at least 0")
        if self.resize and self.resize < 1:
            raise ConfigError(f"search needs a resize of 0 or at least 1, got {self.resize}")


@dataclass(frozen=True)
class SamplingConfig:
    """Training samples of the first frame and of the updates (FACTS 1.1).

    Attributes:
        initial_positives: of the first frame.
        initial_near: its negatives about the target.
        initial_whole: number of its negatives from the whole frame, of IoU up to that of `initial_near`.
        memory_negatives: its negatives that the memory keeps.
        update_positives: of a frame on which the target was found.
        update_negatives: of such a frame.
        interval: frames from one that is remembered to the next; neighbours hardly differ.
        augmentations: changed versions of the first frame that are learnt from as well.
    """

    initial_positives: SampleConfig = SampleConfig("gaussian", 0.1, 5, 500, min_iou=0.7)
    initial_near: SampleConfig = SampleConfig("uniform", 1, 10, 2500, max_iou=0.5)
    initial_whole: int = 2500
    memory_negatives: SampleConfig = SampleConfig("uniform", 2, 5, 200, max_iou=0.5)
    update_positives: SampleConfig = SampleConfig("gaussian", 0.1, 5, 50, min_iou=0.7)
    update_negatives: SampleConfig = SampleConfig("uniform", 2, 5, 200, max_iou=0.3)
    interval: int = 2
    augmentations: tuple[str, ...] = ("flip", "blur", "rotate", "shift-flow")

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ConfigError(f"sampling needs an interval of at least 1 frame, got {self.interval}")


@dataclass(frozen=True)
class RedetectionConfig:
    """Looking for a lost target in the whole frame.

    Attributes:
        enabled: only ever acts while the status is lost.
        interval: frames between two looks.
        step: spacing of the grid of proposals, in sides of the box.
        sizes: multiples of the box's size that are tried.
        most: about the greatest number of proposals; the grid is spaced wider to keep to it.
        threshold: least score that is believed.
    """

    enabled: bool = True
    interval: int = 4
    step: float = 0.25
    sizes: tuple[float, ...] = (0.8, 1.0, 1.25)
    most: int = 3000
    threshold: float = 0.65


@dataclass(frozen=True)
class TrackerConfig:
    """Everything that decides what the tracker does; see the parts for what each setting means."""

    network: STResNetConfig = field(default_factory=STResNetConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    mining: MiningConfig = field(default_factory=lambda: MiningConfig(pool=512, interval=10))
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    overlap: OverlapConfig = field(default_factory=OverlapConfig)
    regression: BoxRegressionConfig = field(default_factory=BoxRegressionConfig)
    confidence: ConfidenceConfig = field(default_factory=ConfidenceConfig)
    redetection: RedetectionConfig = field(default_factory=RedetectionConfig)

    @classmethod
    def paper(cls) -> TrackerConfig:
        """Every constant as printed, and MDNet's where the paper refers to it."""
        return cls(
            features=FeatureConfig(extractor="crop", motion="on", context=107 / 75),
            search=SearchConfig(best=1, flow_share=0.0, resize=0.0, judged=0, success=0.0),
            sampling=SamplingConfig(interval=1, augmentations=("shift-flow",)),
            classifier=ClassifierConfig(
                members=1,
                hidden=128,
                init="gaussian",
                standardise=False,
                dropout=0.5,
                init_steps=30,
                init_rate=1e-4,
                update_steps=10,
                update_rate=3e-4,
                pace=0,
                clip=0.0,
            ),
            mining=MiningConfig(),
            memory=MemoryConfig(long_negatives="uncertain", failure_interval=0, long_frames=1000),
            overlap=OverlapConfig(candidates=0),
            regression=BoxRegressionConfig(ridge=1000.0),
        )

    @classmethod
    def accurate(cls) -> TrackerConfig:
        """Settings chosen for accuracy, whatever they cost: a wider region than `realtime` has, in floating point.

        The target is seen in about as many pixels as there, on which the learnt head was trained.
        """
        return cls(features=FeatureConfig(region_scale=6.0))

    @classmethod
    def realtime(cls) -> TrackerConfig:
        """Settings chosen for accuracy at what two CPU cores can do."""
        return cls(features=FeatureConfig(region_size=257, precision="auto"))

    @classmethod
    def preset(cls, name: str) -> TrackerConfig:
        """The preset of that name.

        Raises:
            ConfigError: if there is none.
        """
        presets = {"paper": cls.paper, "accurate": cls.accurate, "realtime": cls.realtime}
        if name not in presets:
            raise ConfigError(f"unknown preset {name!r}: choose {', '.join(presets)}")
        return presets[name]()
