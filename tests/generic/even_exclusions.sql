{#- Fails, with a row each, for groups of jobs by outcome (int_mart__exclusions) of which more are
    excluded than of others: by at least `at_least_difference` of the share, and beyond chance. A
    group is compared with all groups of the same label that are less excluded by that much, taken
    together; the evidence is that of grown_shares(). A label model that excludes rows by what it is
    to predict leaves a training set that is not what the model will meet. -#}
{% test even_exclusions(model, at_least_difference=0.05) %}
{{ config(meta={
    'message': 'a label model excludes more of the jobs with one outcome than with others',
    'fix': 'exclude by what is known at the request, never by the label; if the source does it '
        ~ '(void contracts), say so in the label model and set at_least_difference',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

compared as (

    select
        tested.label_model,
        tested.outcome_group,
        tested.least_outcome,
        tested.greatest_outcome,
        tested.excluded_count,
        tested.known_count,
        sum(others.excluded_count) as other_excluded_count,
        sum(others.known_count) as other_known_count
    from tested
    inner join tested as others
        on tested.label_model = others.label_model
    where
        tested.excluded_share - others.excluded_share
        >= cast({{ at_least_difference }} as {{ type_double() }})
    group by
        tested.label_model,
        tested.outcome_group,
        tested.least_outcome,
        tested.greatest_outcome,
        tested.excluded_count,
        tested.known_count

),

weighed as (

    select
        label_model,
        outcome_group,
        least_outcome,
        greatest_outcome,
        excluded_count,
        known_count,
        other_excluded_count,
        other_known_count,
        {{ share_evidence(
            'excluded_count', 'known_count', 'other_excluded_count', 'other_known_count'
        ) }} as evidence
    from compared

)

select
    label_model,
    outcome_group,
    least_outcome,
    greatest_outcome,
    excluded_count,
    known_count,
    other_excluded_count,
    other_known_count
from weighed
where evidence >= {{ evidence_bound() }}
{% endtest %}
