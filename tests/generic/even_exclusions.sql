{#- Fail with one row for each group of jobs by outcome (int_mart__exclusions) that is excluded
    significantly more often than other groups. A group is compared with the total of all groups of
    the same label whose excluded share is lower by at least `at_least_difference`. The evidence is
    computed as in grown_shares(). If a label model excludes rows by their outcome, the training set
    does not represent the requests that the model gets. -#}
{% test even_exclusions(model, at_least_difference=0.05) %}
{{ config(meta={
    'message': 'a label model excludes more of the jobs with one outcome than with others',
    'fix': 'exclude by what is known at the request, never by the label; if the source does so '
        ~ '(void contracts), explain it in the label model and set at_least_difference',
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
