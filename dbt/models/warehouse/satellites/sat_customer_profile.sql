{{ satellite('customer_hk', keys={'customer_id': 'key'}, observed='updated_at', payload={
    'customer_id': 'text', 'first_name': 'text', 'last_name': 'text', 'email': 'text', 'phone': 'text',
    'date_of_birth': 'date', 'address': 'text', 'city': 'text', 'country': 'text', 'tier': 'text',
    'risk_tolerance': 'text', 'company_id': 'text', 'created_at': 'time',
}, sources=[{'model': 'raw_customers'}]) }}
