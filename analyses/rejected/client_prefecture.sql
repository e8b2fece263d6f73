-- One row per spine row: the prefecture of the job's client, as last known at the request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

clients as (

    select * from {{ ref('stg_dwh__clients') }}

),

final as (

    select
        requests.job_id,
        clients.prefecture
    from requests
    left join clients
        on requests.client_id = clients.client_id and clients.known_at <= requests.requested_at
    qualify row_number() over (
            partition by requests.job_id
            order by clients.known_at desc nulls last, clients.loaded_at desc nulls last
        ) = 1

)

select * from final
