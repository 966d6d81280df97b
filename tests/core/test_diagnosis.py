"""What doctor may find is said in every language, with everything that it is said of."""

import re
import string

import pytest

from tallygate.core.diagnosis import SUBJECTS, Found, found
from tallygate.core.diagnosis_wording import SUBJECTS as SUBJECT_WORDS
from tallygate.core.diagnosis_wording import TEXTS, subject_of, withheld_for, worded
from tallygate.core.edge import HEADERS, POOLED, SHUT

NUMBERS = {"ms", "length", "least", "logged", "refused", "entries", "waiting", "places"}
NAMES = ("path", "name", "names", "problem", "reason", "route", "state", "error", "model")
VALUES: dict[str, str | int] = {name: f"<{name}>" for name in NAMES} | dict.fromkeys(NUMBERS, 7)


@pytest.mark.parametrize("code", Found)
def test_each_finding_says_in_chinese_what_it_says_in_english(code: Found) -> None:
    """Whoever can not read the number can not mend what it counts."""
    english = found(code, **VALUES).text
    named = set(re.findall("<[a-z]+>|7", english))
    assert english and "{" not in english
    for language in ("zh-CN", "zh-TW"):
        said = worded(code.value, VALUES, language)
        assert said is not None and named == set(re.findall("<[a-z]+>|7", said)), language
        commands = set(re.findall("`[^`]+`|[A-Z]+(?:_[A-Z]+)+", english))
        assert commands <= set(re.findall("`[^`]+`|[A-Z]+(?:_[A-Z]+)+", said)), language


def test_each_has_its_words_and_no_word_is_left_over() -> None:
    assert set(TEXTS) == set(Found)
    assert set(SUBJECT_WORDS) == set(SUBJECTS)
    for subject in SUBJECTS:
        assert subject_of(subject, "en") == subject
        assert subject_of(subject, "zh-CN") != subject


def test_the_two_scripts_are_not_mixed() -> None:
    """Characters that only one of them has."""
    simple = "".join(one[0] for one in (*TEXTS.values(), *SUBJECT_WORDS.values()))
    complex_ = "".join(one[1] for one in (*TEXTS.values(), *SUBJECT_WORDS.values()))
    assert not set("設資錄儲庫時鐘報邊緣鑰應權檔務無會個讓請執啟動發條讀實") & set(simple)
    assert not set("设资录储库时钟报边缘钥应权档务无会个让请执启动发条读实") & set(complex_)


def test_what_nobody_has_worded_stays_as_it_was_written() -> None:
    assert worded("of_tomorrow", {}, "zh-CN") is None
    assert worded(Found.CLOCK_OFF.value, {}, "zh-CN") is None, "of another release"
    assert worded(Found.CLOCK_OFF.value, {"ms": 1}, "en") is None


def test_why_a_route_is_not_at_the_edge_is_said_too() -> None:
    for reason in (HEADERS, POOLED, SHUT):
        values: dict[str, str | int] = {"route": "/x", "reason": reason}
        said = worded(Found.EDGE_WITHHELD.value, values, "zh-TW")
        assert said is not None and reason not in said
        assert withheld_for(reason, "zh-TW") in said
        assert withheld_for(reason, "en") == reason
    assert withheld_for("because", "zh-CN") == "because"


def test_every_value_that_a_text_names_is_one_of_those_that_are_tried_here() -> None:
    for texts in TEXTS.values():
        for text in texts:
            fields = {name for _, name, _, _ in string.Formatter().parse(text) if name}
            assert fields <= set(VALUES)
