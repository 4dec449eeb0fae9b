select
    hub.company_hk,
    cast(coalesce(details.company_id, hub.company_id) as varchar) as company_id,
    details.company_name,
    details.industry,
    details.country,
    details.city,
    details.website,
    details.contact_email,
    {{ as_type('details.employee_count', 'integer') }} as employee_count,
    details.annual_revenue,
    details.tier,
    details.risk_tolerance,
    details.created_at,
    details.observed_at as updated_at,
    {{ as_type('details.company_hk is not null', 'flag') }} as is_profile_known,
    cast(coalesce(details.record_source, hub.record_source) as varchar) as record_source,
    {{ as_type('coalesce(details.load_timestamp, hub.load_timestamp)', 'time') }} as load_timestamp,
    cast(coalesce(details.package_id, hub.package_id) as varchar) as package_id
from {{ ref('hub_company') }} hub
left join {{ current_rows(ref('sat_company_details'), ['company_hk']) }} details
    on hub.company_hk = details.company_hk
where {{ is_no_ghost('hub.company_hk') }}
