{%- set known = 'profile.customer_hk = hub.customer_hk' %}
select
    hub.customer_hk,
    cast(coalesce(profile.customer_id, hub.customer_id) as varchar) as customer_id,
    profile.first_name,
    profile.last_name,
    profile.email,
    profile.phone,
    profile.date_of_birth,
    profile.address,
    profile.city,
    profile.country,
    profile.tier,
    profile.risk_tolerance,
    cast(nullif(employer.company_hk, {{ unknown_key() }}) as varchar) as company_hk,
    employment.company_id,
    profile.created_at,
    {{ as_type('case when ' ~ known ~ ' then profile.observed_at end', 'time') }} as updated_at,
    {{ as_type(known, 'flag') }} as is_profile_known,
    cast(case when {{ known }} then profile.record_source else hub.record_source end as varchar) as record_source,
    {{ as_type('case when ' ~ known ~ ' then profile.load_timestamp else hub.load_timestamp end', 'time') }}
        as load_timestamp,
    cast(case when {{ known }} then profile.package_id else hub.package_id end as varchar) as package_id
from {{ ref('hub_customer') }} hub
inner join {{ ref('pit_customer') }} pit on hub.customer_hk = pit.customer_hk and pit.valid_to = {{ end_of_time() }}
inner join {{ ref('sat_customer_profile') }} profile
    on {{ points_to('pit', 'sat_customer_profile', 'profile', 'customer_hk') }}
inner join {{ ref('sat_eff_customer_company') }} employment
    on {{ points_to('pit', 'sat_eff_customer_company', 'employment', 'link_customer_company_hk') }}
inner join {{ ref('link_customer_company') }} employer
    on employment.link_customer_company_hk = employer.link_customer_company_hk
