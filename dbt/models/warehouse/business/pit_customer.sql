-- As of every moment at which a customer changed; one who is known by name alone has one row, from the first moment on.
{{ describe_pit('customer_hk', {
    'sat_customer_profile': 'customer_hk', 'sat_eff_customer_company': 'link_customer_company_hk',
}) }}

with profiles as (
    select * from {{ history(ref('sat_customer_profile'), 'customer_hk') }} states
),

employments as (
    select *
    from {{ in_force(
        ref('sat_eff_customer_company'), 'link_customer_company_hk', ref('link_customer_company'), 'customer_hk'
    ) }} effective
)

select
    hub.customer_hk,
    {{ interval_of('profiles') }},
    {{ pointer('profiles', 'sat_customer_profile', 'customer_hk') }},
    {{ pointer('employments', 'sat_eff_customer_company', 'link_customer_company_hk') }}
from {{ ref('hub_customer') }} hub
left join profiles on hub.customer_hk = profiles.customer_hk
left join employments
    on hub.customer_hk = employments.customer_hk
    and profiles.valid_from >= employments.valid_from
    and profiles.valid_from < employments.valid_to
where {{ is_no_ghost('hub.customer_hk') }}
