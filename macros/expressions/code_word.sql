{#- Write a word from a fixed list, such as a status, in lower case and without white space at
    either end. The macro is not for free text. -#}
{% macro code_word(text) -%}
    {{ lowered(trimmed('cast(' ~ text ~ ' as string)')) }}
{%- endmacro %}
