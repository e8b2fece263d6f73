{#- The columns of these models that are profiled, by model, and the edges of their bins, by column:
    features, and labels that have `bins`. Read from the YAML beside the models. -#}
{% macro profiled_columns(model_names) -%}
    {%- set columns = {} -%}
    {%- set bins = {} -%}
    {%- set nodes = graph.nodes.values() if execute else [] -%}
    {%- for model_name in model_names -%}
        {%- do columns.update({model_name: []}) -%}
    {%- endfor -%}
    {%- for node in nodes if node.resource_type == 'model' and node.name in columns -%}
        {%- for column in node.columns.values() -%}
            {%- set meta = column.config.meta -%}
            {%- if 'bins' in meta or (column.data_type and 'role' not in meta) -%}
                {%- do columns[node.name].append(column.name) -%}
            {%- endif -%}
            {%- if 'bins' in meta -%}
                {%- do bins.update({column.name: meta.bins}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return((columns, bins)) -}}
{%- endmacro %}

{#- CTEs, up to `profiles`: what int_mart__profiles measured of a column (none: of all) at the
    refresh that is built, and at the newest refresh before its days, bin by bin. -#}
{% macro compared_profiles(model, column_name) -%}
measured as (

    select * from {{ ref('int_mart__profiles') }}

),

clock as (

    select * from {{ ref('int_mart__clock') }}

),

compared as (

    select
        max(clock.as_of_at) as newest_at,
        max(
            case
                when
                    measured.measured_at
                    <= {{ add_hours('clock.as_of_at', -24 * var('profile_days')) }}
                    then measured.measured_at
            end
        ) as former_at
    from measured
    cross join clock

),

sided as (

    select
        measured.column_name,
        measured.bin,
        measured.row_count,
        measured.distinct_count,
        measured.total,
        measured.measured_at = compared.newest_at as is_newest
    from measured
    cross join compared
    where
        measured.model_name = '{{ model.identifier }}'
        {%- if column_name %}
        and measured.column_name = '{{ column_name }}'
        {%- endif %}
        and measured.measured_at in (compared.newest_at, compared.former_at)

),

profiles as (

    select
        column_name,
        bin,
        sum(case when is_newest then row_count else 0 end) as newest_count,
        sum(case when is_newest then 0 else row_count end) as former_count,
        sum(case when is_newest then distinct_count end) as newest_distinct_count
    from sided
    group by column_name, bin

)
{%- endmacro %}
