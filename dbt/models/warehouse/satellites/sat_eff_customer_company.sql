-- The hub's keys, customer and company, in this order: the link's hash.
{{ satellite('link_customer_company_hk', keys={'customer_key': 'key', 'company_key': 'key'}, observed='observed_at',
    payload={'company_id': 'text', 'effectivity': 'text'}, sources=[{'model': 'employment_readings'}],
) }}
