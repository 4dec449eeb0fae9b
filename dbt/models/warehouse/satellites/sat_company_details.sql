{{ satellite('company_hk', keys={'company_id': 'key'}, observed='updated_at', payload={
    'company_id': 'text', 'company_name': 'text', 'industry': 'text', 'country': 'text', 'city': 'text',
    'website': 'text', 'contact_email': 'text', 'employee_count': 'number', 'annual_revenue': 'number',
    'tier': 'text', 'risk_tolerance': 'text', 'created_at': 'time',
}, sources=[{'model': 'raw_corporates'}]) }}
