"""Build the SQL of titles and descriptions: Japanese and some English, in full and half width, with emoji and HTML."""

from __future__ import annotations

from feature_mart.sample.draws import below, chance, pick, word_list
from feature_mart.sample.shares import SHARES
from feature_mart.sample.words import (
    CLOSINGS,
    DETAILS,
    EMOJI,
    FIELDS,
    HALF_WIDTH,
    OPENINGS,
    PREFIXES,
    SUFFIXES,
    TOPICS,
)

_WORKS = [work for field in FIELDS for work in field.works]
_IS_ENGLISH = chance("english", SHARES["title_english"])
_TOPIC = below("topic", len(TOPICS))
_TOPIC_JA = f"{word_list([topic for topic, _ in TOPICS])}[1 + {_TOPIC}]"
_TOPIC_EN = f"{word_list([topic for _, topic in TOPICS])}[1 + {_TOPIC}]"
_WORK_JA = f"{word_list([work.name for work in _WORKS])}[1 + category]"
_WORK_EN = f"{word_list([work.english for work in _WORKS])}[1 + category]"
_SKILL = (
    f"{word_list([name for field in FIELDS for name, _ in field.skills])}"
    "[1 + category // 4 * 8 + first_skill]"
)
_NUMBER = f"""case when {chance("comma", SHARES["title_comma"])} then format('{{:,}}', quantity)
    else quantity::varchar end"""


def _quantity(units: list[str], hours: str, parts: str) -> str:
    """Return an expression for the quantity as text, such as 3000文字×10記事, LP1枚 or 月80時間."""
    before = word_list([unit.split("{q}")[0] for unit in units])
    after = word_list([unit.split("{q}")[1] for unit in units])
    hours_before, hours_after = hours.split("{q}")
    parts_before, parts_after = parts.split("{q}")
    return f"""(case when is_hourly then '{hours_before}' else {before}[1 + category] end || {_NUMBER}
        || case when is_hourly then '{hours_after}' else {after}[1 + category] end
        || case when parts > 1 then '{parts_before}' || parts || '{parts_after}' else '' end)"""


_QUANTITY_JA = _quantity([work.unit for work in _WORKS], "月{q}時間", "×{q}記事")
_QUANTITY_EN = _quantity(
    [work.english_unit for work in _WORKS], "{q} hours a month", " x {q} articles"
)


def title() -> str:
    """Return an expression for the title of a row of job facts. A few titles are NULL."""
    prefix = f"{word_list([prefix for prefix, _ in PREFIXES])}[1 + prefix]"
    japanese = f"""({prefix} || case {below("layout", 3)}
        when 0 then {_TOPIC_JA} || 'の' || {_WORK_JA} || '（' || {_QUANTITY_JA} || '）'
        when 1 then {_QUANTITY_JA} || ' ' || {_TOPIC_JA} || 'に関する' || {_WORK_JA}
        else {_WORK_JA} || '／' || {_TOPIC_JA} || ' ' || {_QUANTITY_JA} end
        || {pick("suffix", SUFFIXES)})"""
    half_width = japanese
    for full, half in HALF_WIDTH:
        half_width = f"replace({half_width}, '{full}', '{half}')"
    return f"""case
        when {chance("no title", SHARES["title_missing"])} then null
        when {_IS_ENGLISH} then {_WORK_EN} || ' about ' || {_TOPIC_EN} || ': ' || {_QUANTITY_EN}
        else case when {chance("emoji", SHARES["title_emoji"])} then {pick("which emoji", EMOJI)} else '' end
            || case when {chance("full width", SHARES["title_full_width"])} then full_width({japanese})
                when {chance("half width", SHARES["title_half_width_kana"])} then {half_width}
                else {japanese} end
        end"""


def description() -> str:
    """Return an expression for the description of a row of job facts. Some are in HTML, and a few are NULL."""
    details = word_list(DETAILS)
    first, count = below("detail", len(DETAILS)), below("details", 5)
    # 3 and 8, the number of sentences, are coprime, so no sentence is repeated.
    sentences = [
        f"case when {count} >= {n} then {details}[1 + ({first} + {3 * n}) % 8] else '' end"
        for n in range(1, 5)
    ]
    skill = f"case when skill_count > 0 then '必要なスキル：' || {_SKILL} || '。' else '' end"
    about = (
        f"{_TOPIC_JA} || 'に関する' || {_WORK_JA} || 'です。分量は' || {_QUANTITY_JA} || 'です。'"
    )
    opening, closing = pick("opening", OPENINGS), pick("closing", CLOSINGS)
    plain = f"{opening} || chr(10) || {about} || {' || '.join(sentences)} || {skill} || chr(10) || {closing}"
    html = (
        f"'<p>' || {opening} || '</p><p>' || {about} || '</p><ul><li>' || {skill} || {sentences[0]} || '</li><li>' || "
        f"{' || '.join(sentences[1:])} || '</li></ul>&nbsp;<br>' || {closing} || case when {chance('link', 0.3)} "
        "then '<a href=\"https://example.com/?a=1&amp;b=2\">参考</a>' else '' end"
    )
    english = (
        f"'We need ' || lower({_WORK_EN}) || ' about ' || {_TOPIC_EN} || ', ' || {_QUANTITY_EN} || "
        f"'. Please send samples of your work.' || "
        f"case when skill_count > 0 then ' Skill: ' || {_SKILL} || '.' else '' end"
    )
    return f"""case
        when {chance("no description", SHARES["description_missing"])} then null
        when {_IS_ENGLISH} then {english}
        when {chance("html", SHARES["description_html"])} then {html}
        else {plain} end"""
