{{ config(unique_key='job_id', cluster_by=['job_id']) }}

-- One row per spine row: the features, the label and, if the row must not be trained on, the
-- reason. A mart only selects columns.
with features as (

    select * from {{ ref('mart_price_estimation__features') }}

),

labels as (

    select * from {{ ref('int_job__price_label') }}

),

final as (

    select
        features.*,
        labels.revised_at,
        labels.label_known_at,
        labels.price_log,
        labels.exclusion_reason
    from features
    inner join labels
        on features.job_id = labels.job_id
    where labels.revised_at > {{ opened_at('revised_at') }}

)

select * from final
