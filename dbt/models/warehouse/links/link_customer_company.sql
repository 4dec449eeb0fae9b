{{ link('link_customer_company_hk', {'customer_hk': ['key'], 'company_hk': ['key']}, [
    {'model': 'raw_customers', 'where': 'company_id is not null', 'keys': {
        'customer_hk': ['customer_id'], 'company_hk': ['company_id'],
    }},
]) }}
