import pytest

from fraud.ui.memory import Recalled, keep_typed, read_recalled


@pytest.mark.parametrize("said", [None, "x", 3, [], {"typed": "no"}, {"flag": [1]}, {"chosen": "klingon"}])
def test_what_does_not_fit_is_as_if_it_were_not_said(said: object) -> None:
    assert read_recalled(said) == Recalled()


def test_only_plain_values_of_a_bounded_size_are_taken() -> None:
    typed = {"amount": 5, "who": "x" * 9_999, "deep": {"a": 1}, "none": None}
    recalled = read_recalled({"typed": typed, "flag": {"verdict": "wrong", "label": "maybe", "comment": "c"}})
    assert recalled.typed == {"amount": 5, "who": "x" * 2_000, "none": None}
    assert (recalled.verdict, recalled.label, recalled.comment) == ("wrong", None, "c")


def test_a_columns_name_cannot_end_the_script() -> None:
    assert "</script>" not in keep_typed(['a"</script>'])
