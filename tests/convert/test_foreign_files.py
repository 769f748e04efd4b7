"""Files as other tools write them, by hand from their documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from asmd import convert

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><id>1</id><name>street</name><size>6</size><mode>interpolation</mode>
<labels><label><name>car</name><color>#Fa3253</color><attributes></attributes></label></labels>
<original_size><width>640</width><height>480</height></original_size></task></meta>
<track id="0" label="car" source="manual">
<box frame="0" outside="0" occluded="0" keyframe="1" xtl="10" ytl="20" xbr="30" ybr="50" z_order="0"></box>
<box frame="2" outside="0" occluded="1" keyframe="1" xtl="14.00" ytl="20" xbr="34" ybr="50" z_order="0"></box>
<box frame="4" outside="1" occluded="0" keyframe="1" xtl="14.00" ytl="20" xbr="34" ybr="50" z_order="0"></box>
</track>
<track id="1" label="car" source="manual">
<box frame="5" outside="0" occluded="0" keyframe="1" xtl="1" ytl="2" xbr="4" ybr="6" z_order="0"></box>
</track></annotations>
"""

LABEL_STUDIO = [
    {
        "id": 7,
        "data": {"video": "/data/upload/clip.mp4"},
        "annotations": [
            {
                "result": [
                    {
                        "id": "abc",
                        "type": "videorectangle",
                        "from_name": "box",
                        "to_name": "video",
                        "value": {
                            "framesCount": 8,
                            "duration": 0.32,
                            "labels": ["dog"],
                            "sequence": [
                                {
                                    "frame": 1,
                                    "enabled": True,
                                    "rotation": 0,
                                    "x": 10,
                                    "y": 20,
                                    "width": 5,
                                    "height": 10,
                                },
                                {
                                    "frame": 3,
                                    "enabled": False,
                                    "rotation": 0,
                                    "x": 20,
                                    "y": 20,
                                    "width": 5,
                                    "height": 10,
                                },
                                {"frame": 6, "enabled": True, "rotation": 0, "x": 0, "y": 0, "width": 50, "height": 50},
                            ],
                        },
                    }
                ]
            }
        ],
    }
]


def test_cvat(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT)
    annotation = convert.read(tmp_path / "a.xml")
    assert (annotation.frames, annotation.size, annotation.name) == (6, (640, 480), "street")
    car, other = annotation.targets
    assert (car.name, other.name, car.colour) == ("car", "car 1", "#fa3253")
    assert car.boxes[:4].tolist() == [[10, 20, 20, 30], [12, 20, 20, 30], [14, 20, 20, 30], [14, 20, 20, 30]]
    assert np.isnan(car.boxes[4:]).all()
    assert car.drawn.tolist() == [True, False, True, False, False, False]
    assert other.boxes[5].tolist() == [1, 2, 3, 4]


def test_label_studio(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LABEL_STUDIO))
    annotation = convert.read(tmp_path / "a.json", size=(200, 100), fps=25.0)
    assert (annotation.frames, annotation.fps) == (8, 25.0)
    [dog] = annotation.targets
    assert dog.name == "dog"
    assert dog.boxes[:3].tolist() == [[20, 20, 10, 10], [30, 20, 10, 10], [40, 20, 10, 10]]
    assert np.isnan(dog.boxes[3:5]).all()
    assert (dog.boxes[5:] == [0, 0, 100, 50]).all()
    assert dog.drawn.tolist() == [True, False, True, False, False, True, False, False]


def test_coco_without_tracks(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 40, "file_name": "b.jpg", "width": 9, "height": 8}, {"id": 3, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 40, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    annotation = convert.read(tmp_path / "a.json")
    [cat] = annotation.targets
    assert cat.boxes.tolist() == [[0, 0, 1, 1], [1, 2, 3, 4]]
    assert annotation.size == (9, 8)


def test_mot_rows_of_2016(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,2,11,21,5,6,1,1,0.5\n3,2,12,22,5,6,1,1,1\n2,7,1,1,5,6,0,3,1\n")
    annotation = convert.read(tmp_path / "a.txt")
    assert [t.name for t in annotation.targets] == ["2", "7"]
    assert annotation.targets[0].boxes[[0, 2]].tolist() == [[10, 20, 5, 6], [11, 21, 5, 6]]
