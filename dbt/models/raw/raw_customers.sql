{{ raw_table('raw_customers', {
    'customer_id': 'text', 'first_name': 'text', 'last_name': 'text', 'email': 'text', 'phone': 'text',
    'date_of_birth': 'date', 'address': 'text', 'city': 'text', 'country': 'text', 'tier': 'text',
    'risk_tolerance': 'text', 'company_id': 'text', 'created_at': 'time', 'updated_at': 'time',
}) }}
