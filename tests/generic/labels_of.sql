{#- Fail on labels that a mart lacks, or whose value, label_known_at or exclusion reason differs
    from the label's own model. A mart that drops or changes labels selects rows by their outcome.
    -#}
{% test labels_of(model, to, label) %}
{{ config(meta={
    'message': 'a label differs from its own model',
    'fix': 'take the label unchanged from its own model; add further exclusion reasons there',
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
