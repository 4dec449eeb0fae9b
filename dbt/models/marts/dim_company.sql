{%- set known = 'details.company_hk = hub.company_hk' %}
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
    {{ as_type('case when ' ~ known ~ ' then details.observed_at end', 'time') }} as updated_at,
    {{ as_type(known, 'flag') }} as is_profile_known,
    cast(case when {{ known }} then details.record_source else hub.record_source end as varchar) as record_source,
    {{ as_type('case when ' ~ known ~ ' then details.load_timestamp else hub.load_timestamp end', 'time') }}
        as load_timestamp,
    cast(case when {{ known }} then details.package_id else hub.package_id end as varchar) as package_id
from {{ ref('hub_company') }} hub
inner join {{ ref('pit_company') }} pit on hub.company_hk = pit.company_hk and pit.valid_to = {{ end_of_time() }}
inner join {{ ref('sat_company_details') }} details
    on {{ points_to('pit', 'sat_company_details', 'details', 'company_hk') }}
