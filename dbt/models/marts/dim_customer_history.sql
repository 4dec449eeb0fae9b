select
    cast({{ hash_columns({'pit.customer_hk': 'text', 'pit.valid_from': 'time'}) }} as varchar) as customer_history_hk,
    pit.customer_hk,
    profile.customer_id,
    pit.version,
    pit.valid_from,
    pit.valid_to,
    {{ as_type('pit.valid_to = ' ~ end_of_time(), 'flag') }} as is_current,
    profile.first_name,
    profile.last_name,
    profile.email,
    profile.city,
    profile.country,
    profile.tier,
    profile.risk_tolerance,
    employment.company_id,
    profile.record_source,
    profile.load_timestamp,
    profile.package_id
from {{ ref('pit_customer') }} pit
inner join {{ ref('sat_customer_profile') }} profile
    on {{ points_to('pit', 'sat_customer_profile', 'profile', 'customer_hk') }}
inner join {{ ref('sat_eff_customer_company') }} employment
    on {{ points_to('pit', 'sat_eff_customer_company', 'employment', 'link_customer_company_hk') }}
where pit.sat_customer_profile_hk = pit.customer_hk
