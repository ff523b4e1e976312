"""Files are whole or absent, never code, and depend on their content only."""

import errno
import importlib
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from gymagine.storage import read_arrays, write_arrays, write_json, write_text, write_whole
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numbers
from safetensors.numpy import save

FORMAT = {"format": "test-1"}


def test_writing_makes_folders_and_takes_the_name_as_it_is(tmp_path):
    path = tmp_path / "new" / "folder" / "data.any"
    assert write_whole(path, b"one") == path
    assert path.read_bytes() == b"one"
    write_whole(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["data.any"]


def test_text_and_json_are_utf_8(tmp_path):
    assert write_text(tmp_path / "t", "é → ü\n").read_bytes() == "é → ü\n".encode()
    value = {"name": "ü", "numbers": [1, 2.5, None]}
    assert json.loads(write_json(tmp_path / "j", value).read_text()) == value


# ---- a disk that is full, a process that dies ---------------------------------------------------


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullFile(io.FileIO):
    """Takes half of what it is given, as a disk that fills up does."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        no_space()


def fill_at_write(patch):
    patch.setattr("builtins.open", lambda path, mode: FullFile(path, mode))


def fill_at_sync(patch):
    patch.setattr(os, "fsync", no_space)


def fail_at_rename(patch):
    patch.setattr(os, "replace", no_space)


@pytest.mark.parametrize("fail", [fill_at_write, fill_at_sync, fail_at_rename])
@pytest.mark.parametrize("old", [b"old", None])
def test_a_full_disk_leaves_what_was_there(tmp_path, fail, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with pytest.MonkeyPatch.context() as patch:
        fail(patch)
        with pytest.raises(OSError, match="No space left"):
            write_arrays(path, {"a": np.zeros(100)}, FORMAT)
    assert os.listdir(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old
    write_arrays(path, {"a": np.zeros(100)}, FORMAT)  # and works again when there is room
    assert len(read_arrays(path, expected_format="test-1")[0]["a"]) == 100


def test_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "file", b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"old"


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = write_whole(tmp_path / "file", b"a" * 4_000_000)
    code = (
        "import sys; from gymagine.storage import write_whole\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in (b'a', b'b'): write_whole(sys.argv[1], letter * 4_000_000)"
    )
    for pause in (0.0, 0.011, 0.023):
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(pause)
            writer.kill()
        content = path.read_bytes()
        assert len(content) == 4_000_000
        assert len(set(content)) == 1


def test_what_a_killed_writer_left_is_removed_by_a_later_one(tmp_path):
    path = tmp_path / "file.json"
    left = tmp_path / ".file.json.4194303-140000000000000.part"
    fresh = tmp_path / ".file.json.4194302-140000000000000.part"  # of a writer at work
    others = [".file.json.part", ".other.4194303-1.part", ".file.jsonx.4194303-1.part", "x.part"]
    for name in (left, fresh, *(tmp_path / other for other in others)):
        name.write_bytes(b"half")
        os.utime(name, (0, 0)) if name != fresh else None
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, fresh.name, *others])


def test_a_path_without_a_name_is_refused():
    with pytest.raises(ValueError, match="expected the name of a file, got ''"):
        write_whole("", b"")


def test_the_name_of_the_header_is_taken(tmp_path):
    with pytest.raises(ValueError, match="got '__metadata__'"):
        write_arrays(tmp_path / "file", {"__metadata__": np.zeros(1)}, FORMAT)
    assert os.listdir(tmp_path) == []


def test_readers_never_see_half_a_file(tmp_path):
    path = write_whole(tmp_path / "file", b"a" * 300_000)
    stop, errors = threading.Event(), []

    def write(letter):
        while not stop.is_set():
            try:
                write_whole(path, letter * 300_000)
            except OSError as error:
                errors.append(error)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    try:
        for _ in range(50):
            content = path.read_bytes()
            assert len(content) == 300_000
            assert len(set(content)) == 1
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not errors
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"")
    assert os.listdir(tmp_path) == ["taken"]


# ---- arrays -------------------------------------------------------------------------------------

DTYPES = st.sampled_from(
    ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1", "<u2", "<u4", "<u8", "?", "<c8", ">i4"]
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: numbers.arrays(dtype, numbers.array_shapes(min_dims=0, min_side=0, max_side=4))
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), ARRAYS, max_size=4))
def test_arrays_survive_to_the_bit(tmp_path_factory, arrays):
    path = tmp_path_factory.getbasetemp() / "arrays"
    arrays.pop("__metadata__", None)
    header = {**FORMAT, "text": "ü", "number": 0.1, "list": [1, None, True]}
    write_arrays(path, arrays, header)
    found, found_header = read_arrays(path, expected_format="test-1")
    assert found_header == header
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].tobytes() == array.astype(found[name].dtype).tobytes()


def test_equal_content_gives_equal_files(tmp_path):
    arrays = {"b": np.arange(12.0).reshape(3, 4), "a": np.arange(3), "c": np.float64(2.5)}
    strided = {"c": arrays["c"], "a": np.arange(6)[::2] // 2, "b": np.asfortranarray(arrays["b"])}
    one = write_arrays(tmp_path / "one", arrays, {"format": "test-1", "x": 1})
    other = write_arrays(tmp_path / "other", strided, {"x": 1, "format": "test-1"})
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.zeros(1, np.complex128)]
)
def test_what_is_no_number_is_not_written(tmp_path, array):
    with pytest.raises(TypeError, match=r"expected arrays of plain numbers, got .*'x'"):
        write_arrays(tmp_path / "file", {"x": array}, FORMAT)
    with pytest.raises(TypeError, match="JSON"):
        write_arrays(tmp_path / "file", {}, {"format": array})
    assert os.listdir(tmp_path) == []


# ---- files that are not ours --------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def foreign(dtype, metadata):
    """Safetensors of a type that numpy has not, as most files of language models are."""
    tensor = {"dtype": dtype, "shape": [0], "data_offsets": [0, 0]}
    header = {"a": tensor} | ({"__metadata__": metadata} if metadata else {})
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def whole_file(tmp_path):
    return write_arrays(tmp_path / "whole", {"a": np.arange(50.0)}, FORMAT).read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:-1], "damaged or of another kind"),
        (lambda whole: whole[: len(whole) // 2], "damaged or of another kind"),
        (lambda whole: whole[:9], "damaged or of another kind"),
        (lambda whole: b"", "damaged or of another kind"),
        (lambda whole: whole + b"more", "damaged or of another kind"),
        (lambda whole: whole.replace(b"F64", b"F6x"), "damaged or of another kind"),
        (lambda whole: pickle.dumps(Bomb()), "damaged or of another kind"),
        (lambda whole: b"PK\x03\x04" + bytes(200), "damaged or of another kind"),
        (lambda whole: save({"a": np.zeros(3)}), "safetensors, but not Gymagine's"),
        (lambda whole: save({"a": np.zeros(3)}, {"pt": "1"}), "safetensors, but not Gymagine's"),
        (lambda whole: save({}, {"gymagine": "{"}), "damaged header"),
        (lambda whole: save({}, {"gymagine": "[" * 100_000}), "damaged header"),
        (lambda whole: foreign("BF16", None), "safetensors, but not Gymagine's"),
        (lambda whole: foreign("BF16", {"gymagine": json.dumps(FORMAT)}), "of another kind"),
        (lambda whole: foreign("F8_E4M3", {"gymagine": json.dumps(FORMAT)}), "of another kind"),
        (lambda whole: save({}, {"gymagine": "[1]"}), r"of \[1\]"),
        (lambda whole: save({}, {"gymagine": "{}"}), "of None"),
        (lambda whole: save({}, {"gymagine": '{"format": "test-2"}'}), "of 'test-2'"),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path, monkeypatch, damage, message):
    with suppress(ModuleNotFoundError):  # gives numpy a type that it has not by itself
        importlib.import_module("ml_dtypes")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    path.write_bytes(damage(whole_file(tmp_path)))
    with pytest.raises(ValueError, match=rf"expected a test-1 file, got .*file.*{message}"):
        read_arrays(path, expected_format="test-1")
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"expected a test-1 file at {path}"):
            read_arrays(path, expected_format="test-1")
