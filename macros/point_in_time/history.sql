{#- Macros for the history of an entity, as sums of facts that enter and leave. docs/history.md
    draws the steps, and _macros.yml describes the arguments. -#}

{#- Write CTEs that end with `running_sums`: one row per entity and refresh at which a fact entered
    or left, with the sums over the facts in force. -#}
{% macro running_sums(
    entity, facts, latest=[], earliest=[], bridge=none, bridge_key=none
) -%}
    {%- set keys = [entity] if entity is string else entity -%}
    {%- set extremes = latest + earliest -%}
    {%- set sums = facts.values() | sum(start=[]) | unique | reject('in', extremes) | list -%}
    {%- set owner = bridge or 'moves' -%}
    {%- if bridge and extremes -%}
        {{ exceptions.raise_compiler_error('latest and earliest cannot be used with a bridge') }}
    {%- endif -%}
{{ fact_moves(bridge_key or entity, facts, latest, earliest, only_moving=not bridge) }},

{% if bridge and is_incremental() -%}
moving as (

    select {{ qualified(keys, bridge) }}
    from moves
    inner join {{ bridge }}
        on moves.{{ bridge_key }} = {{ bridge }}.{{ bridge_key }}
    cross join bounds
    where moves.as_of_at > bounds.opened_at
    group by {{ qualified(keys, bridge) }}

),

{% endif -%}
deltas as (

    select
        {{ qualified(keys, owner) }},
        moves.as_of_at
        {%- for column in sums %},
        cast(coalesce(sum(moves.{{ column }}), 0) as bigint) as {{ column }}
        {%- endfor %}
        {%- for column in extremes %},
        {{ 'max' if column in latest else 'min' }}(moves.kept_{{ column }}) as kept_{{ column }}
        {%- endfor %}
    from moves
    {%- if bridge %}
    inner join {{ bridge }}
        on moves.{{ bridge_key }} = {{ bridge }}.{{ bridge_key }}
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}{{ bridge }}.{{ key }}
        {%- if is_incremental() %} in (select moving.{{ key }} from moving)
        {%- else %} is not null
        {%- endif %}
        {%- endfor %}
    {%- endif %}
    group by
        {{ qualified(keys, owner) }},
        moves.as_of_at

),

{{ 'summed' if extremes else 'running_sums' }} as (

    select
        {{ keys | join(', ') }},
        as_of_at
        {%- for column in sums %},
        cast(sum({{ column }}) over running as bigint) as {{ column }}
        {%- endfor %}
        {%- for column in extremes %},
        {{ 'max' if column in latest else 'min' }}(kept_{{ column }}) over running
            as kept_{{ column }}
        {%- endfor %}
    from deltas
    {%- if not extremes %}
    where {{ is_moved(sums) }}
    {%- endif %}
    window running as (
        partition by {{ keys | join(', ') }}
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

)
    {%- if extremes %},

{#- A running maximum cannot remove a fact that leaves. The maximum therefore runs over the facts
    that never leave, and facts that leave are joined to the rows at which they are in force. -#}
left_facts as (

    select
        {{ qualified(keys, 'deltas') }},
        deltas.as_of_at
        {%- for column in extremes %},
        {{ 'max' if column in latest else 'min' }}(open_facts.{{ column }}) as {{ column }}
        {%- endfor %}
    from deltas
    inner join open_facts
        on
            {{ equated(keys, 'deltas', 'open_facts') }}
            and deltas.as_of_at >= open_facts.enters_at
            and deltas.as_of_at < open_facts.leaves_at
    where
        {%- for column in extremes %}
        {% if not loop.first %}or {% endif %}open_facts.{{ column }} is not null
        {%- endfor %}
    group by
        {{ qualified(keys, 'deltas') }},
        deltas.as_of_at

),

running_sums as (

    select
        {{ qualified(keys + ['as_of_at'] + sums, 'summed') }}
        {%- for column in extremes %},
        {% if column in latest -%}
        {{ greatest_known('summed.kept_' ~ column, 'left_facts.' ~ column) }}
        {%- else -%}
        {{ least_known('summed.kept_' ~ column, 'left_facts.' ~ column) }}
        {%- endif %} as {{ column }}
        {%- endfor %}
    from summed
    left join left_facts
        on {{ equated(keys + ['as_of_at'], 'summed', 'left_facts') }}

)
    {%- endif %}
{%- endmacro %}

{#- Write CTEs that end with `moves`: the amounts that each fact adds when it enters and subtracts
    when it leaves. -#}
{% macro fact_moves(
    entity, facts, latest=[], earliest=[], details=[], only_moving=true
) -%}
    {%- set keys = [entity] if entity is string else entity -%}
    {%- set columns = facts.values() | sum(start=[]) | unique | list -%}
    {%- set extremes = latest + earliest -%}
    {%- set sums = columns | reject('in', extremes) | list -%}
    {%- if extremes | reject('in', columns) | list -%}
        {{ exceptions.raise_compiler_error('latest and earliest name columns of facts') }}
    {%- endif -%}
bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from {{ ref('int_mart__clock') }} as clock

),

facts as (
    {%- for relation, names in facts.items() %}
    {% if not loop.first %}union all{% endif %}
    select
        {{ keys | join(', ') }},
        {%- for column in details %}
        {{ column }},
        {%- endfor %}
        enters_at,
        leaves_at
        {%- for column in columns %},
        {{ '' if column in names else 'null as ' if column in extremes else '0 as ' }}{{ column }}
        {%- endfor %}
    from {{ relation }}
    {%- endfor %}

),

{% if is_incremental() and only_moving -%}
{#- An entity without a fact that enters or leaves after opened_at has no row to add. -#}
moving as (

    select {{ qualified(keys, 'facts') }}
    from facts
    cross join bounds
    where
        (facts.enters_at > bounds.opened_at and facts.enters_at <= bounds.as_of_at)
        or (facts.leaves_at > bounds.opened_at and facts.leaves_at <= bounds.as_of_at)
    group by {{ qualified(keys, 'facts') }}

),

{% endif -%}
open_facts as (

    select
        {{ qualified(keys + details, 'facts') }},
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        {{ qualified(columns, 'facts') }}
    from facts
    {%- if is_incremental() and only_moving %}
    inner join moving
        on {{ equated(keys, 'facts', 'moving') }}
    {%- endif %}
    cross join bounds
    where
        facts.enters_at <= bounds.as_of_at
        {%- for key in keys %}
        and facts.{{ key }} is not null
        {%- endfor %}

),

{#- The filter drops facts that left by opened_at: `open_facts` sets their enters_at to opened_at,
    which is not before their leaves_at. The filter is not in `open_facts`, because DuckDB would
    then compute the end of a window twice. -#}
moves as (

    select
        {{ (keys + details) | join(', ') }},
        enters_at as as_of_at
        {%- for column in sums %},
        {{ column }}
        {%- endfor %}
        {%- for column in extremes %},
        case when leaves_at is null then {{ column }} end as kept_{{ column }}
        {%- endfor %}
    from open_facts
    where leaves_at is null or enters_at < leaves_at
    union all
    select
        {{ (keys + details) | join(', ') }},
        leaves_at as as_of_at
        {%- for column in sums %},
        -{{ column }} as {{ column }}
        {%- endfor %}
        {%- for column in extremes %},
        null as kept_{{ column }}
        {%- endfor %}
    from open_facts
    where enters_at < leaves_at

)
{%- endmacro %}

{#- Write CTEs that end with `final`: the rows after opened_at whose `columns` differ from the
    previous row. -#}
{% macro changed_rows(entity, columns, states=none) -%}
    {%- set keys = [entity] if entity is string else entity -%}
    {%- set counts = [] -%}
    {%- for column in columns -%}
        {#- The unit is the last word of a column name before a window such as _all or _90d.
            -#}
        {%- set words = column.split('_') -%}
        {%- set has_window = words[-1] == 'all' or words[-1][:-1].isdigit() -%}
        {%- if words[-2 if has_window else -1] == 'count' -%}
            {%- do counts.append(column) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set changes = 'changed_states' if states else 'running_sums' -%}
{%- if states -%}
changed_states as (

    select
        {{ (keys + ['as_of_at'] + columns) | join(', ') }},
        {{ is_changed(
            counts=counts,
            values=columns | reject('in', counts) | list,
            partition_by=keys | join(', '),
            order_by='as_of_at asc nulls last'
        ) }} as is_changed
    from {{ states }}

),

{% endif -%}
final as (

    select
        {{ qualified(keys + ['as_of_at'], changes) }},
        {{ available_at(changes ~ '.as_of_at') }} as available_at,
        {{ qualified(columns, changes) }}
    from {{ changes }}
    cross join bounds
    where
        {%- if states %}
        changed_states.is_changed and
        {%- endif %}
        {{ changes }}.as_of_at > bounds.opened_at

)
{%- endmacro %}

{#- Write column names with their relation, separated by commas. -#}
{% macro qualified(columns, relation) -%}
    {%- for column in columns -%}
        {{ relation }}.{{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Write the condition that columns are equal in two relations. -#}
{% macro equated(columns, relation, other) -%}
    {%- for column in columns -%}
        {{ relation }}.{{ column }} = {{ other }}.{{ column }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
