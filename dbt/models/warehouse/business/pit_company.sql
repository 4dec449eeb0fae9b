-- As of every moment at which a company changed; one that is known by name alone has one row, from the first moment on.
{{ describe_pit('company_hk', {'sat_company_details': 'company_hk'}) }}

select
    hub.company_hk,
    {{ interval_of('details') }},
    {{ pointer('details', 'sat_company_details', 'company_hk') }}
from {{ ref('hub_company') }} hub
left join {{ history(ref('sat_company_details'), 'company_hk') }} details on hub.company_hk = details.company_hk
where {{ is_no_ghost('hub.company_hk') }}
