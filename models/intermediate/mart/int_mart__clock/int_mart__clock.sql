{{ config(materialized='table') }}

-- One row: the refresh that is built. A given as_of is floored to a refresh. Without as_of, the
-- refresh is the newest one that the wall clock has reached. On DuckDB, whose raw files may be old,
-- the first refresh that contains every raw row is used instead, if that refresh is earlier. With a
-- given as_of, this model reads no raw rows, but the staging models must still be built first:
-- depends_on: {{ ref('stg_dwh__jobs') }}, {{ ref('stg_dwh__contracts') }}
-- depends_on: {{ ref('stg_dwh__proposals') }}, {{ ref('stg_dwh__reviews') }}
-- depends_on: {{ ref('stg_dwh__clients') }}, {{ ref('stg_dwh__freelancers') }}
{% if var('as_of') -%}
with final as (

    select {{ refresh_before(instant(var('as_of'))) }} as as_of_at

)
{%- else -%}
with jobs as (

    select * from {{ ref('stg_dwh__jobs') }}

),

contracts as (

    select * from {{ ref('stg_dwh__contracts') }}

),

proposals as (

    select * from {{ ref('stg_dwh__proposals') }}

),

reviews as (

    select * from {{ ref('stg_dwh__reviews') }}

),

clients as (

    select * from {{ ref('stg_dwh__clients') }}

),

freelancers as (

    select * from {{ ref('stg_dwh__freelancers') }}

),

loads as (

    select max(jobs.loaded_at) as loaded_at from jobs
    union all
    select max(contracts.loaded_at) as loaded_at from contracts
    union all
    select max(proposals.loaded_at) as loaded_at from proposals
    union all
    select max(reviews.loaded_at) as loaded_at from reviews
    union all
    select max(clients.loaded_at) as loaded_at from clients
    union all
    select max(freelancers.loaded_at) as loaded_at from freelancers

),

newest_load as (

    select
        {{ refresh_at('max(loads.loaded_at)') }} as all_known_at,
        {{ refresh_before(wall_clock()) }} as reached_at
    from loads

),

final as (

    select
        {%- if target.type == 'duckdb' %}
        {{ least_known('newest_load.all_known_at', 'newest_load.reached_at') }} as as_of_at
        {%- else %}
        newest_load.reached_at as as_of_at
        {%- endif %}
    from newest_load

)
{%- endif %}

select * from final
