"""Products are complete or absent."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from imaging.errors import ImagingError
from imaging.image import Grid, Image
from imaging.io.atomic import PARTIAL, atomic_path, remove_partial
from imaging.io.images import load_image, save_image


def big_image(n=400):
    return Image(np.zeros((1, 1, n, n), np.float32), Grid((1.0, 0.5), (1e-5, 1e-5), (n, n), (1e9,), (1e6,)))


@pytest.mark.parametrize("old", [None, "old"])
def test_an_exception_leaves_nothing(tmp_path, old):
    if old:
        (tmp_path / "a.txt").write_text(old)

    def write():
        with atomic_path(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == (["a.txt"] if old else [])
    assert not old or (tmp_path / "a.txt").read_text() == old


def test_nothing_is_seen_before_the_end(tmp_path):
    with atomic_path(tmp_path / "new" / "a.npz") as partial:
        np.savez(partial, a=1)
        assert not (tmp_path / "new" / "a.npz").exists()
    assert np.load(tmp_path / "new" / "a.npz")["a"] == 1


def test_directories_replace_directories(tmp_path):
    for content in ("old", "new"):
        with atomic_path(tmp_path / "a") as partial:
            (partial / "sub").mkdir(parents=True)
            (partial / "sub" / content).write_text(content)
    assert [p.name for p in (tmp_path / "a" / "sub").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_block_that_writes_nothing_is_a_mistake(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass


@pytest.mark.parametrize("name", ["a.fits", "a.image"])
def test_a_full_disk_is_explained(tmp_path, name):
    save_image(big_image(8), tmp_path / name)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(ImagingError, match="cannot be written") as caught:
            save_image(big_image(), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.next_step
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert load_image(tmp_path / name).data.shape == (1, 1, 8, 8)


@pytest.mark.parametrize("name", ["a.fits", "a.image"])
def test_an_unwritable_place_is_explained(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImagingError, match="cannot be written"):
        save_image(big_image(8), tmp_path / "file" / name)


def test_somebody_elses_error_stays(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        open(tmp_path / "nowhere" / "input").close()


def test_a_killed_writer_leaves_only_what_is_removed_later(tmp_path):
    code = ("import os, sys; from imaging.io.atomic import atomic_path\n"
            "with atomic_path(sys.argv[1]) as partial:\n"
            "    partial.write_text('half'); os.kill(os.getpid(), 9)")  # fmt: skip
    (tmp_path / "sub").mkdir()
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "sub" / "a.json"])
    assert done.returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path / "sub")
    assert left.startswith(PARTIAL)
    assert [p.name for p in remove_partial(tmp_path)] == [left]
    assert os.listdir(tmp_path / "sub") == []
