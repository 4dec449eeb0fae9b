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
    cast(
        case when profile.company_id is not null then {{ hash_columns({'profile.company_id': 'key'}) }} end as varchar
    ) as company_hk,
    profile.company_id,
    profile.created_at,
    profile.observed_at as updated_at,
    {{ as_type('profile.customer_hk is not null', 'flag') }} as is_profile_known,
    cast(coalesce(profile.record_source, hub.record_source) as varchar) as record_source,
    {{ as_type('coalesce(profile.load_timestamp, hub.load_timestamp)', 'time') }} as load_timestamp,
    cast(coalesce(profile.package_id, hub.package_id) as varchar) as package_id
from {{ ref('hub_customer') }} hub
left join {{ current_rows(ref('sat_customer_profile'), ['customer_hk']) }} profile
    on hub.customer_hk = profile.customer_hk
