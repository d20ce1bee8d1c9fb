"""A forest's file comes back the same, and none makes the loops crash."""

import io
import zipfile

import numpy as np
import pytest

from fraud.errors import BundleRefused
from fraud.models.engine import PackedForest, hard_rows
from tests.unit.models.engine.conftest import N_FEATURES, chain


def test_a_saved_forest_comes_back_the_same_and_its_bytes_do_not_depend_on_the_day(packed, tmp_path):
    path = tmp_path / "model.forest"
    packed.save(path)
    first = path.read_bytes()
    again = PackedForest.load(path)
    again.save(path)
    assert path.read_bytes() == first
    x = hard_rows(packed, 100, 10)
    assert np.array_equal(packed.probability(x), again.probability(x))
    assert np.array_equal(packed.contributions(x)[0], again.contributions(x)[0])


def members(packed, path):
    packed.save(path)
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def changed(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


HOSTILE = {
    "a feature out of range": ("feature", changed(0, N_FEATURES)),
    "a feature below -1": ("feature", changed(0, -2)),
    "a root that is a leaf before other nodes": ("feature", changed(0, -1)),
    "a last leaf that asks for children": ("feature", changed(-1, 0)),
    "nothing but splits": ("feature", np.zeros_like),
    "a NaN threshold": ("split", changed(0, np.nan)),
    "an infinite leaf": ("split", changed(-1, np.inf)),
    "a negative cover": ("cover", changed(3, -1)),
    "an infinite cover": ("cover", changed(3, np.inf)),
    "offsets that go back": ("offsets", changed(1, -5)),
    "offsets past the end": ("offsets", changed(-1, 2**31 - 1)),
    "an empty tree": ("offsets", changed(1, 0)),
    "no trees": ("offsets", lambda a: a[:1]),
    "trees moved by a node": ("offsets", changed(1, 3)),
    "fewer covers than nodes": ("cover", lambda a: a[:-1]),
    "wider thresholds": ("split", lambda a: a.astype(np.float64)),
    "a matrix": ("split", lambda a: a.reshape(1, -1)),
    "pickled objects": ("split", lambda a: a.astype(object)),
    "another byte order": ("split", lambda a: a.astype(">f4")),
    "booleans that are neither": ("missing_left", lambda a: changed(0, 7)(a.view(np.uint8)).view(np.bool_)),
    "no nodes": ("feature", lambda a: a[:0]),
    "a short header": ("header", lambda a: a[:5]),
    "a later format": ("header", changed(0, 99)),
    "an unknown scale": ("header", changed(4, 9)),
    "no features": ("header", changed(slice(8, 12), 0)),
    "a base that is NaN": ("header", changed(slice(12, 20), 255)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_with_hostile_content_is_refused(packed, tmp_path, name):
    path = tmp_path / "hostile.npz"
    arrays = members(packed, path)
    array, change = HOSTILE[name]
    arrays[array] = change(arrays[array])
    np.savez(path, **arrays)
    with pytest.raises(BundleRefused):
        PackedForest.load(path)


def test_missing_and_additional_arrays_are_refused(forest, tmp_path):
    path = tmp_path / "hostile.npz"
    arrays = members(forest, path)
    for odd in (arrays | {"more": arrays["split"]}, {k: v for k, v in arrays.items() if k != "cover"}):
        np.savez(path, **odd)
        with pytest.raises(BundleRefused, match="other arrays"):
            PackedForest.load(path)


def test_a_tree_too_deep_to_be_honest_is_refused():
    with pytest.raises(BundleRefused, match="deeper"):
        chain(1000)


def test_truncated_and_damaged_files_are_refused_or_unchanged(forest, tmp_path):
    path = tmp_path / "damaged.npz"
    forest.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for n in [0, 1, 4, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(BundleRefused):
            PackedForest.load(path)
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            again = PackedForest.load(path)
        except BundleRefused:
            continue
        assert np.array_equal(again.split, forest.split)  # the flip hit a field that nobody reads


def test_a_member_that_promises_more_than_it_holds_is_refused_without_allocating_it(forest, tmp_path):
    path = tmp_path / "bomb.npz"
    arrays = members(forest, path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0))
            body = content.getvalue()
            if name == "split":
                body = body.replace(str(array.shape).encode(), b"(%d,)" % 10**15, 1)
            archive.writestr(f"{name}.npy", body)
    with pytest.raises(BundleRefused):
        PackedForest.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleRefused):
        PackedForest.load(tmp_path / "nothing.npz")
