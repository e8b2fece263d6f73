"""Test properties of terms and text features that hold for every text."""

from __future__ import annotations

import html
import inspect
import sys
import unicodedata
from decimal import Decimal
from itertools import groupby
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text_models import TERMS, TEXT

WORD_ROWS = [
    ("urgent", "急募"),
    ("urgent", "ASAP"),
    ("continuous", "継続"),
    ("continuous", "long-term"),
    ("beginner", "ﾋﾞｷﾞﾅｰ"),
    ("beginner", "no experience"),
    ("characters", "文字"),
    ("characters", "characters"),
    ("items", "文"),
    ("items", "記事"),
    ("pages", "ページ"),
    ("pages", "p"),
    ("pages", "pages"),
    ("hours", "時間"),
    ("hours", "ｈ"),
]
WORDS = TEXT.compile_words(WORD_ROWS)
RATIOS = tuple(f"job_title_{script}_ratio" for script in ("kanji", "kana", "latin", "digit"))
UNITS = {"文字": "character", "文": "item", "ページ": "page", "pages": "page", "h": "hour"}
QUANTITIES = tuple(f"job_text_{unit}_quantity" for unit in ("character", "item", "page", "hour"))
FLAGS = ("is_urgent", "is_continuous", "is_beginner_welcome")
LARGEST = 1_000_000_000

# The pieces have every script, width, mark and sign that the features handle. Short texts of random pieces often
# combine special cases.
PIECES = (
    *"あんゝぁカヴーｶﾞ゙・漢々〇〆豈﨑𠮷aZéÉßİıŐ÷ｚ059０５①²,.，．<>/&;# \u3000\u00a0\n\t。-_🔥\u200d\u0301\u0307\u3099",
    *("1,000", "2.5", "万", "千", "文字", "文", "記事", "ページ", "ﾍﾟｰｼﾞ", "pages", "px", "h", "時間"),
    *("急募", "ASAP", "継続", "long-term", "ビギナー", "no experience", "<b>", "</b>", "&amp;", "&nbsp;"),
)  # fmt: skip
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | ANY_TEXT
# Long runs of combining marks. NFKC sorts the marks of a run by combining class. Some of these marks decompose, and
# characters of class 0 divide a run.
MARKS = st.text(
    st.sampled_from("\u0301\u0316\u0327\u0345\u0344\u0f73\u3099\uff9e。"), min_size=25, max_size=80
)
MARKED_TEXTS = st.lists(TEXTS | MARKS, max_size=4).map("".join)
# Parts of numbers and units. Most random combinations are not a valid amount.
NUMBERS = st.lists(
    st.sampled_from(
        (*"0059..,,  ", "12", "123", "1,000", ",111", ".5", "千", "万", *UNITS, "pagesx", "字")
    ),
    max_size=16,
).map("".join)
# These texts have no `<` or `>`, because a lone one beside a tag would change where the tag ends.
UNTAGGED = TEXTS.map(lambda text: text.replace("<", "").replace(">", ""))
SHORT = settings(max_examples=300, deadline=None)


def features(title: str | None, description: str | None) -> dict[str, float | int | None]:
    result: dict[str, float | int | None] = TEXT.text_features(title, description, WORDS)
    return result


def normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).replace("\u0307", "")


def script(char: str) -> str | None:
    """Return the script of one normalised character by its code point, or None for characters that no term contains."""
    ranges = {
        "kanji": "3400-4DBF 4E00-9FFF F900-FAFF 20000-2FFFF 3005-3005 3007-3007",
        "hiragana": "3041-3096",
        "katakana": "30A1-30FA 30FC-30FE",
        "latin": "61-7A DF-24F 1E00-1EFF",
        "digit": "30-39",
    }
    for name, spans in ranges.items():
        for span in spans.split():
            first, last = span.split("-")
            if int(first, 16) <= ord(char) <= int(last, 16):
                return name
    return None


def expected_terms(title: str) -> set[str]:
    """Return a title's terms by brute force: runs of two or more characters of one script, and adjacent kanji pairs."""
    found = set()
    for name, chars in groupby(normalised(title), script):
        run = "".join(chars)
        if name is None or len(run) < 2:
            continue
        found.add(run)
        if name == "kanji":
            found |= {run[i : i + 2] for i in range(len(run) - 1)}
    return found


def amount_of(number: str) -> float | None:
    """Return the amount that a run of digits, points and commas stands for; None if the run is not a valid number."""
    whole, point, fraction = number.partition(".")
    groups = whole.split(",")
    if point and not fraction.isdigit():
        return None
    if not all(group.isdigit() for group in groups):
        return None
    if len(groups) > 1 and (len(groups[0]) > 3 or any(len(group) != 3 for group in groups[1:])):
        return None
    return float("".join(groups) + point + fraction)


def expected_quantities(text: str) -> dict[str, float | None]:
    """Return the largest amount of each unit by reading a normalised text once, character by character."""
    units = {
        unicodedata.normalize("NFKC", word): group
        for group, word in WORD_ROWS
        if group in ("characters", "items", "pages", "hours")
    }
    largest: dict[str, float | None] = dict.fromkeys(QUANTITIES)
    at = 0
    for is_number, chars in groupby(text, "0123456789.,".__contains__):
        number = "".join(chars)
        at += len(number)
        amount = amount_of(number) if is_number else None
        if amount is None:
            continue
        rest = text[at:].lstrip(" ")
        if rest[:1] in ("千", "万"):
            amount *= {"千": 1_000, "万": 10_000}[rest[0]]
            rest = rest[1:].lstrip(" ")
        fitting = [
            word
            for word in units
            if rest.startswith(word)
            and not (script(word[-1]) == script(rest[len(word) :][:1] or " ") == "latin")
        ]
        if fitting and 0 < amount <= LARGEST:
            column = f"job_text_{units[max(fitting, key=len)].removesuffix('s')}_quantity"
            largest[column] = max(largest[column] or 0.0, amount)
    return largest


@pytest.mark.parametrize("model", [TERMS, TEXT], ids=["terms", "text"])
def test_both_models_have_one_spelling(model: ModuleType) -> None:
    @SHORT
    @given(MARKED_TEXTS)
    def check(text: str) -> None:
        assert model.normalise(text) == normalised(text)

    check()


def test_both_models_have_the_same_code_for_it() -> None:
    for function in ("_in_canonical_order", "normalise"):
        assert inspect.getsource(getattr(TERMS, function)) == inspect.getsource(
            getattr(TEXT, function)
        )
    for constant in ("_WIDTHS", "_USUAL_WIDTH", "_COMBINING_DOT", "_MARKS"):
        assert getattr(TERMS, constant) == getattr(TEXT, constant)


def test_every_character_that_decomposes_to_marks_is_put_in_order() -> None:
    missed = []
    for point in range(sys.maxunicode + 1):
        char = chr(point)
        if unicodedata.combining(unicodedata.normalize("NFKD", char)[0]):
            run = char.translate(TEXT._USUAL_WIDTH) * 31
            missed += [] if TEXT._MARKS.fullmatch(run) else [hex(point)]
    assert missed == []


@SHORT
@given(TEXTS)
def test_terms_are_those_of_brute_force(title: str) -> None:
    assert TERMS.terms(title) == expected_terms(title)


@SHORT
@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_one_text_in_two_encodings_has_the_same_terms_and_features(title: str, form: str) -> None:
    other = unicodedata.normalize(form, title)
    assert TERMS.terms(other) == TERMS.terms(title)
    assert features(other, None) == features(title, None)


@SHORT
@given(st.text(st.characters(codec="ascii")))
def test_case_and_width_of_ascii_change_nothing(title: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in title)
    for other in (title.upper(), title.lower(), wide):
        assert TERMS.terms(other) == TERMS.terms(title)
        assert features(other, None) == features(title, None)


@SHORT
@given(TEXTS)
def test_terms_are_long_enough_and_hold_neither_space_nor_upper_case(title: str) -> None:
    for term in TERMS.terms(title):
        assert len(term) >= 2
        assert not any(char.isspace() or char.isupper() for char in term)
        assert len({script(char) for char in term}) == 1


@SHORT
@given(TEXTS, TEXTS)
def test_terms_of_two_clauses_are_those_of_each(first: str, second: str) -> None:
    assert TERMS.terms(f"{first}、{second}") == TERMS.terms(first) | TERMS.terms(second)


@SHORT
@given(TEXTS)
def test_ratios_are_shares_of_the_letters_or_all_unknown(title: str) -> None:
    result = features(title, None)
    scripts = [name for char in normalised(title) if (name := script(char))]
    if not scripts:
        assert [result[column] for column in RATIOS] == [None] * 4
        return
    kana = scripts.count("hiragana") + scripts.count("katakana")
    counts = (scripts.count("kanji"), kana, scripts.count("latin"), scripts.count("digit"))
    assert [result[column] for column in RATIOS] == [count / len(scripts) for count in counts]


@SHORT
@given(TEXTS, TEXTS)
def test_ratios_sum_to_one_and_come_from_the_title_alone(title: str, description: str) -> None:
    result = features(title, description)
    ratios = [result[column] for column in RATIOS]
    known = [ratio for ratio in ratios if ratio is not None]
    assert len(known) in (0, 4)
    assert not known or sum(known) == pytest.approx(1, abs=1e-12)
    assert [features(title, None)[column] for column in RATIOS] == ratios
    assert [features(f"{title}。{title}", None)[column] for column in RATIOS] == ratios


@SHORT
@given(TEXTS | st.none(), UNTAGGED, st.sampled_from(["p", 'a href="9ページ急募"', "li\nclass='x'"]))
def test_tag_around_the_description_changes_nothing(
    title: str | None, description: str, tag: str
) -> None:
    wrapped = f"<{tag}>{description}</{tag.split()[0]}>"
    assert features(title, wrapped) == features(title, description)


@SHORT
@given(TEXTS | st.none(), UNTAGGED, st.integers(1, LARGEST), st.sampled_from(sorted(UNITS)))
def test_amount_added_raises_its_own_quantity_and_no_other(
    title: str | None, description: str, amount: int, unit: str
) -> None:
    before = features(title, description)
    after = features(title, f"{description}。{amount:,}{unit}")
    column = f"job_text_{UNITS[unit]}_quantity"
    assert after[column] == max(before[column] or 0.0, float(amount))
    assert after == before | {column: after[column]}


@SHORT
@given(
    st.lists(
        st.tuples(
            st.decimals(0, 2_000_000, places=1),
            st.booleans(),
            st.sampled_from(["", "千", "万"]),
            st.sampled_from(["", " ", "\u3000"]),
            st.sampled_from(sorted(UNITS)),
        ),
        max_size=5,
    )
)
def test_quantities_are_the_largest_amounts_within_range(
    stated: list[tuple[Decimal, bool, str, str, str]],
) -> None:
    expected: dict[str, float | None] = dict.fromkeys(QUANTITIES)
    text = []
    for number, commas, multiplier, space, unit in stated:
        digits = f"{number:,f}" if commas else f"{number:f}"
        text.append(f"{digits}{space}{multiplier}{space}{unit}")
        amount = number * {"": 1, "千": 1_000, "万": 10_000}[multiplier]
        column = f"job_text_{UNITS[unit]}_quantity"
        if 0 < amount <= LARGEST:
            expected[column] = max(expected[column] or 0.0, float(amount))
    result = features(None, "、".join(text))
    for column in QUANTITIES:
        value = expected[column]
        assert result[column] == (value and pytest.approx(value, rel=1e-15))


@SHORT
@given(NUMBERS | TEXTS)
def test_quantities_are_those_of_a_reader_character_by_character(title: str) -> None:
    result = features(title, None)
    expected = expected_quantities(normalised(title))
    assert {column: result[column] for column in QUANTITIES} == expected


@SHORT
@given(TEXTS, UNTAGGED, TEXTS)
def test_flags_are_never_taken_back_by_more_text(title: str, first: str, second: str) -> None:
    before, after = features(title, first), features(title, f"{first}。{second}")
    assert all(after[flag] >= before[flag] for flag in FLAGS)


@pytest.mark.parametrize("word", [row for row in WORD_ROWS if row[0] in ("urgent", "beginner")])
@given(before=st.characters(exclude_categories=["Cs"]), after=st.sampled_from("xé9"))
@settings(max_examples=50, deadline=None)
def test_latin_words_stand_alone_and_others_anywhere(
    word: tuple[str, str], before: str, after: str
) -> None:
    flag = {"urgent": "is_urgent", "beginner": "is_beginner_welcome"}[word[0]]
    is_latin = word[1].isascii()
    assert features(word[1] + after, None)[flag] == (0 if is_latin else 1)
    assert features(after + word[1], None)[flag] == (0 if is_latin else 1)
    assert features(f"{before}。{word[1]}の", None)[flag] == 1


@SHORT
@given(TEXTS | st.none(), TEXTS | st.none())
def test_every_text_has_every_feature(title: str | None, description: str | None) -> None:
    result = features(title, description)
    assert set(result) == {*RATIOS, *QUANTITIES, *FLAGS}
    is_missing = title is None and description is None
    assert all((result[flag] is None) if is_missing else result[flag] in (0, 1) for flag in FLAGS)
    for column in QUANTITIES:
        value = result[column]
        assert value is None or (isinstance(value, float) and 0 < value <= LARGEST)


@SHORT
@given(st.permutations([*WORD_ROWS, *WORD_ROWS[:3]]), TEXTS, TEXTS)
def test_order_and_repeats_of_the_words_change_nothing(
    rows: list[tuple[str, str]], title: str, description: str
) -> None:
    words = TEXT.compile_words(rows)
    assert TEXT.text_features(title, description, words) == features(title, description)


def test_missing_text_has_neither_terms_nor_features() -> None:
    assert TERMS.terms(None) == set()
    assert set(features(None, None).values()) == {None}


@SHORT
@given(st.integers(0, 10**12), st.integers(0, 5_000), st.sampled_from(["", ";", "a", " ", "&#"]))
def test_reference_by_number_is_a_character_however_many_zeros_it_has(
    number: int, zeros: int, after: str
) -> None:
    assert TEXT.plain_text(f"&#{'0' * zeros}{number}{after}") == html.unescape(f"&#{number}{after}")


@pytest.mark.parametrize("digits", ["9" * 5_000, "1" * 100_000])
def test_reference_by_too_large_a_number_is_the_replacement_character(digits: str) -> None:
    assert TEXT.plain_text(f"急募&#{digits};5ページ") == "急募\ufffd5ページ"


@pytest.mark.parametrize("digits", ["9" * 5_000, "1" + ",000" * 2_000, "0" * 5_000])
def test_number_too_long_for_any_amount_is_ignored(digits: str) -> None:
    assert features(f"{digits}文字", None)["job_text_character_quantity"] is None
    assert features(f"{digits}文字、5文字", None)["job_text_character_quantity"] == 5
