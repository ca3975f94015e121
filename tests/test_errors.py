import pytest

from axonal.errors import MissingDependencyError, nearest, require


@pytest.mark.parametrize("typed", ["smolm", "smollm2", "smollm2-135m-instrct"])
def test_the_nearest_name_is_found_also_when_a_long_one_was_cut_short(typed):
    assert nearest(typed, ["gpt2", "smollm2-135m-instruct"]) == (
        "did you mean smollm2-135m-instruct?"
    )


def test_where_nothing_is_near_everything_is_listed():
    assert nearest("xyz", ["b", "a"]) == "known are: a, b"
    assert nearest("xyz", []) == "known are: none"
    assert nearest("", ["a"]) == "known are: a"


def test_a_missing_library_is_named_with_its_extra():
    with pytest.raises(MissingDependencyError, match=r"pip install 'axonal\[cluster\]'"):
        require("not_a_library_at_all", "cluster")
    assert require("json", "cluster").dumps([]) == "[]"
