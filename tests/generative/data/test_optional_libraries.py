"""A missing library is named, with what to install."""

import pytest
from gymagine.generative.data.optional_libraries import optional_library


def test_missing_library_is_named_with_its_extra():
    with pytest.raises(ModuleNotFoundError, match=r"a test needs .*nowhere.*gymagine\[data\]"):
        optional_library("gymagine_nowhere.part", "a test")


def test_library_that_lacks_something_itself_says_so(tmp_path, monkeypatch):
    (tmp_path / "broken_for_a_test.py").write_text("import another_missing_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="'another_missing_module'"):
        optional_library("broken_for_a_test", "a test")
