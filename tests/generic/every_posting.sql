{#- Fail on jobs without a row in the model although, by the refresh that is built, their first
    version was known and the job had been posted. Later changes of a job must not decide whether
    the job has a row. -#}
{% test every_posting(model, to) %}
{{ config(meta={
    'message': 'a job that was known and had been posted has no spine row',
    'fix': 'give every posting a row, also a deleted one; to leave it out of training, exclude it '
        ~ 'in the label model, where exclusions are counted',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

clock as (

    select * from {{ ref('int_mart__clock') }}

),

first_versions as (

    select
        job_id,
        posted_at,
        known_at
    from {{ to }}
    qualify row_number() over (
            partition by job_id order by known_at asc nulls last, loaded_at asc nulls last
        ) = 1

)

select
    first_versions.job_id,
    first_versions.posted_at,
    first_versions.known_at
from first_versions
cross join clock
left join tested on first_versions.job_id = tested.job_id
where
    first_versions.known_at <= clock.as_of_at
    and first_versions.posted_at <= clock.as_of_at
    and tested.job_id is null
{% endtest %}
