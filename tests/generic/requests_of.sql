{#- Fail on spine rows that a mart lacks or has with another requested_at or entered_at. A request
    with another time may be in another split and have the features of another day. -#}
{% test requests_of(model, to) %}
{{ config(meta={
    'message': 'a request is missing, or has another time than in the spine',
    'fix': 'take requested_at and entered_at unchanged from the spine; splits are cut by them',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

spine as (

    select * from {{ to }}

)

select
    spine.job_id,
    spine.requested_at as requested_at_is,
    tested.requested_at as requested_at_in_mart,
    spine.entered_at as entered_at_is,
    tested.entered_at as entered_at_in_mart
from spine
left join tested on spine.job_id = tested.job_id
where
    spine.requested_at is distinct from tested.requested_at
    or spine.entered_at is distinct from tested.entered_at
{% endtest %}
