{{ config(materialized='table') }}

-- One row per profiled model that the checks over time cannot compare at this refresh, because the
-- history is too short or one side has too few rows.
with {{ compared_profiles(is_compared=false) }},

profiled_models as (
{% for table in profiled_tables() %}
    select '{{ table }}' as model_name
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}

),

columns_counted as (

    select
        model_name,
        column_name,
        sum(case when is_newest then row_count else 0 end) as newest_rows,
        sum(case when is_newest then 0 else row_count end) as former_rows
    from sided
    group by model_name, column_name

),

-- Every column of a model has the same number of rows.
models_counted as (

    select
        model_name,
        max(newest_rows) as newest_rows,
        max(former_rows) as former_rows
    from columns_counted
    group by model_name

),

judged as (

    select
        profiled_models.model_name,
        compared.history_days,
        cast({{ judged_history_days() }} as bigint) as needed_days,
        cast(coalesce(models_counted.newest_rows, 0) as bigint) as newest_rows,
        cast(coalesce(models_counted.former_rows, 0) as bigint) as former_rows,
        cast({{ var('profile_rows') }} as bigint) as needed_rows
    from profiled_models
    left join models_counted
        on profiled_models.model_name = models_counted.model_name
    cross join compared

),

final as (

    select
        model_name,
        history_days,
        needed_days,
        newest_rows,
        former_rows,
        needed_rows
    from judged
    where
        not coalesce(history_days >= needed_days, false)
        or newest_rows < needed_rows
        or former_rows < needed_rows

)

select * from final
