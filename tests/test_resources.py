"""What jobs ask of a scheduler."""

from imaging.config import Config
from imaging.resources import estimate


def memory(stage="restore", **sections) -> int:
    sections["image"] = {"imsize": 1024} | sections.get("image", {})
    return estimate(Config.parse(sections), stage).mem_mb


def test_memory_grows_with_the_image_and_its_planes(tiny_ms):
    data = {"vis": str(tiny_ms)}
    one = memory(data=data)
    assert memory(data=data, image={"stokes": "IQUV"}) - 500 == 4 * (one - 500)
    assert memory(data=data, image={"specmode": "cube", "nchan": 3}) - 500 == 3 * (one - 500)
    cube = {"specmode": "cube", "nchan": 30, "stokes": "IQUV"}
    assert memory("psf_double", data=data, image=cube) == memory("psf_double", data=data)  # one plane at a time
    assert memory("ingest", data=data) == memory("ingest", data=data, image={"imsize": 4096})


def test_a_cube_of_all_channels_counts_those_of_the_data(tiny_ms):
    cube, one = {"specmode": "cube"}, memory(data={"vis": str(tiny_ms)}) - 500
    for data, image, channels in (
        ({}, cube, 4),
        ({"spw": "0:1~2"}, cube, 2),
        ({"chanaverage": 2}, cube, 2),
        ({}, cube | {"width": 2}, 2),
        ({"spw": "7"}, cube, 1),  # a mistake, which ingest will name
    ):
        assert memory(data={"vis": str(tiny_ms)} | data, image=image) - 500 == channels * one
