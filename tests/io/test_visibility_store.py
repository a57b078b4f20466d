"""Arrays written block by block are those that are read, and any numpy can read them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.algorithms.averaging import Block
from imaging.errors import ImagingError
from imaging.io.visibility_store import COLUMNS, PartWriter, VisibilityStore, new_array, write_meta

FREQ = np.array([1.0e9, 1.1e9, 1.2e9])


def block(rows, planes, seed=0):
    rng = np.random.default_rng(seed)
    return Block(
        rng.normal(size=(rows, 3)),
        rng.normal(size=(planes, rows, 3)).astype(np.complex64),
        rng.random((rows, 3)).astype(np.float32),
        rng.random(rows),
        rng.integers(0, 9, rows),
        rng.integers(0, 9, rows),
        np.zeros(rows, int),
    )


def write(folder, blocks, planes):
    writer = PartWriter(folder / "part000", FREQ, np.full(3, 1e8), planes)
    for b in blocks:
        writer.append(b)
    entry = writer.close(source=0)
    write_meta(
        folder, {"parts": [entry] if entry else [], "stokes": ["I", "Q", "U", "V"][:planes], "phase_centre": [1.0, 0.5]}
    )
    return VisibilityStore(folder)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5), planes=st.sampled_from([1, 2, 4]))
def test_what_is_appended_is_read(sizes, planes, tmp_path_factory):
    blocks = [block(n, planes, seed) for seed, n in enumerate(sizes)]
    store = write(tmp_path_factory.mktemp("store"), blocks, planes)
    if not sum(sizes):
        assert store.parts == []
        return
    (part,) = store.parts
    for name, dtype in COLUMNS.items():
        array = getattr(part, name)
        expected = np.concatenate([getattr(b, name) for b in blocks], axis=1 if name == "vis" else 0)
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, expected.astype(dtype))
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert part.rows == sum(sizes)
    assert part.meta["sumwt"] == pytest.approx(float(sum(b.weight.sum() for b in blocks)))
    assert len(list(part.folder.iterdir())) == len(COLUMNS)


def test_the_hash_is_that_of_the_samples(tmp_path):
    whole, pieces, other = (
        block(20, 2),
        [block(20, 2).take(slice(0, 7)), block(20, 2).take(slice(7, 20))],
        block(20, 2, 1),
    )
    hashes = []
    for k, blocks in enumerate(([whole], pieces, [other])):
        (tmp_path / str(k)).mkdir()
        hashes.append(write(tmp_path / str(k), blocks, 2).parts[0].meta["sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_no_store(tmp_path):
    with pytest.raises(ImagingError, match="not a visibility store"):
        VisibilityStore(tmp_path)
    write_meta(tmp_path, {"parts": []})
    text = (tmp_path / "meta.json").read_text()
    (tmp_path / "meta.json").write_text(text.replace('"layout": 1', '"layout": 0'))
    with pytest.raises(ImagingError, match="another version"):
        VisibilityStore(tmp_path)


def test_a_new_array_has_its_room(tmp_path):
    array = new_array(tmp_path / "a.npy", (100, 30))
    array[:] = 3
    array.flush()
    assert (np.load(tmp_path / "a.npy") == 3).all()
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 100 * 30 * 4
