-- The customer is the driving key: a reading of his tells of every employment he had since it first began, whether it
-- is in force. Read from his profile, which holds every change, so that a vault of before has its employments whole.
{{ config(materialized='ephemeral') }}

with readings as (
    select
        customer_hk,
        company_id,
        {{ hash_text('customer_id', 'key') }} as customer_key,
        {{ hash_text('company_id', 'key') }} as company_key,
        observed_at,
        row_version,
        record_source,
        package_id,
        load_timestamp
    from {{ last_readings(ref('sat_customer_profile'), 'customer_hk') }} last_word
),

employments as (
    select customer_hk, company_key, min(row_version) as first_version
    from readings
    where company_key is not null
    group by customer_hk, company_key
)

select
    readings.customer_key,
    employments.company_key,
    case when readings.company_key = employments.company_key then readings.company_id end as company_id,
    case when readings.company_key = employments.company_key then 'in force' else 'ended' end as effectivity,
    readings.observed_at,
    readings.row_version,
    readings.record_source,
    readings.package_id,
    readings.load_timestamp
from readings
inner join employments
    on readings.customer_hk = employments.customer_hk and readings.row_version >= employments.first_version
