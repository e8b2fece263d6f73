{#- Fail with one row for each column in which a larger share of values is missing than before, by
    the rule of grown_shares(). Missing means NULL, blank or 0. Every key counts once, by its first
    version of the last `share_days` days (dbt var), because later versions may repeat a value that
    was filled long ago. Deleted rows and rows known by assumption do not count, because some
    columns of such rows are empty by design. -#}
{% test stays_filled(model, key, columns) %}
{{ config(meta={
    'message': 'a raw column that was filled is empty in the newest rows',
    'fix': 'check what fills the column: labels and features of these rows are missing or wrong',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

first_versions as (

    select
        known_at,
        {{ columns | join(',\n        ') }}
    from tested
    where
        not is_deleted
        and not is_known_at_assumed
        {%- if var('as_of') %}
        and known_at > {{ add_hours(instant(var('as_of')), -24 * (var('share_days') + 1)) }}
        {%- endif %}
    qualify row_number() over (
            partition by {{ key }} order by known_at asc nulls last, loaded_at asc nulls last
        ) = 1

),

marked as (

    select
        known_at,
        {%- for column in columns %}
        case
            when
                coalesce({{ trimmed('cast(' ~ column ~ ' as string)') }}, '') in ('', '0', '0.0')
                then 1
            else 0
        -- allow number-text: only compared with the two spellings of 0 above
        end as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from first_versions

),

observed as (

    select
        known_at,
        name,
        hit
    from marked
    unpivot (hit for name in ({{ columns | join(', ') }}))

),

{{ grown_shares('observed') }}

select
    name as column_name,
    hits as empty_count,
    of_rows as row_count,
    hits_before as empty_count_before,
    of_rows_before as row_count_before
from grown
{% endtest %}
