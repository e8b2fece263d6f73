{#- Return the models whose columns are profiled, each with the model's time column. -#}
{% macro profiled_tables() -%}
    {{- return({
        'feat_job__category_at_request': 'entered_at',
        'feat_job__client_at_request': 'entered_at',
        'feat_job__client_category_at_request': 'entered_at',
        'feat_job__job_type_at_request': 'entered_at',
        'feat_job__market_at_request': 'entered_at',
        'feat_job__posting': 'entered_at',
        'feat_job__skills_at_request': 'entered_at',
        'feat_job__terms_at_request': 'entered_at',
        'feat_job__text': 'entered_at',
        'int_job__hire_label': 'label_known_at',
        'int_job__price_label': 'label_known_at',
    }) -}}
{%- endmacro %}

{#- Return two dicts, read from the YAML of the models. The first maps each model to the names of
    its profiled columns: the features of SQL models, and all columns that have `bins`. The second
    maps each column with `bins` to the edges of the bins. -#}
{% macro profiled_columns(model_names) -%}
    {%- set columns = {} -%}
    {%- set bins = {} -%}
    {%- set nodes = graph.nodes.values() if execute else [] -%}
    {%- for model_name in model_names -%}
        {%- do columns.update({model_name: []}) -%}
    {%- endfor -%}
    {%- for node in nodes if node.resource_type == 'model' and node.name in columns -%}
        {%- for name, column in described_columns(node).items() -%}
            {%- set is_feature = 'role' not in column.meta and node.language == 'sql' -%}
            {%- if 'bins' in column.meta or (column.data_type and is_feature) -%}
                {%- do columns[node.name].append(name) -%}
            {%- endif -%}
            {%- if 'bins' in column.meta -%}
                {%- do bins.update({name: column.meta.bins}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return((columns, bins)) -}}
{%- endmacro %}

{#- Return the columns of a model by name, each with `data_type` and `meta`: those in its YAML, and
    the features of the models in its `config.meta.passes_on` (`complete_columns` in manifest.py
    does the same in Python). -#}
{% macro described_columns(node) -%}
    {%- set found = {} -%}
    {%- set named = node.config.meta.get('passes_on', []) -%}
    {%- set sources = [named] if named is string else named -%}
    {%- for source in graph.nodes.values() if source.name in sources -%}
        {%- for name, column in source.columns.items() if 'role' not in column.config.meta -%}
            {%- if column.config.meta.get('passed_on', true) -%}
                {%- do found.update({name: {'data_type': column.data_type, 'meta': {}}}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name, column in node.columns.items() -%}
        {%- set data_type = column.data_type or found.get(name, {}).get('data_type') -%}
        {%- do found.update({name: {'data_type': data_type, 'meta': column.config.meta}}) -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro %}

{#- Return the days of history that a comparison needs: the days that are checked, the days before
    them, and as many days in which the features of a new warehouse fill up. Without this third
    period, means that are NULL in the first days of a warehouse and known a month later would look
    like a fault. -#}
{% macro judged_history_days() -%}
    {{- return(3 * var('profile_days')) -}}
{%- endmacro %}

{#- Write CTEs that end with `profiles`: the measurements of int_mart__profiles for a model and
    column (all if none is given) at the refresh that is built, and at the newest measured refresh
    at least profile_days (dbt var) earlier, by bin. `profiles` is empty while the history is too
    short to compare, unless `is_compared` is false. -#}
{% macro compared_profiles(model=none, column_name=none, is_compared=true) -%}
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
        ) as former_at,
        max(
            case when measured.measured_at = clock.as_of_at then measured.history_days end
        ) as history_days
    from measured
    cross join clock

),

sided as (

    select
        measured.model_name,
        measured.column_name,
        measured.bin,
        measured.row_count,
        measured.distinct_count,
        measured.total,
        measured.measured_at = compared.newest_at as is_newest
    from measured
    cross join compared
    where
        measured.measured_at in (compared.newest_at, compared.former_at)
        {%- if model %}
        and measured.model_name = '{{ model.identifier }}'
        {%- endif %}
        {%- if column_name %}
        and measured.column_name = '{{ column_name }}'
        {%- endif %}
        {%- if is_compared %}
        and compared.history_days >= {{ judged_history_days() }}
        {%- endif %}

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
