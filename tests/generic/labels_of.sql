{#- Fails on labels, times at which they became known, and reasons for excluding them that are not
    those of the label's own model: a mart that leaves out or alters labels selects by what it is to
    predict. -#}
{% test labels_of(model, to, label) %}
{{ config(meta={
    'message': 'a label is not what its own model says',
    'fix': 'take it from there; a further reason to exclude belongs into that model',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

labels as (

    select * from {{ to }}

)

select
    labels.job_id,
    labels.{{ label }} as label_is,
    tested.{{ label }} as label_in_mart,
    labels.label_known_at as known_at_is,
    tested.label_known_at as known_at_in_mart,
    labels.exclusion_reason as reason_is,
    tested.exclusion_reason as reason_in_mart
from labels
left join tested on labels.job_id = tested.job_id
where
    tested.job_id is null
    or labels.{{ label }} is distinct from tested.{{ label }}
    or labels.label_known_at is distinct from tested.label_known_at
    or labels.exclusion_reason is distinct from tested.exclusion_reason
{% endtest %}
