{#- A word from a fixed list, such as a status: lower-cased and trimmed. Not for free text. -#}
{% macro code_word(text) -%}
    lower(trim(cast({{ text }} as string)))
{%- endmacro %}
