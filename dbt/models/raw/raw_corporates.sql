{{ raw_table('raw_corporates', {
    'company_id': 'text', 'company_name': 'text', 'industry': 'text', 'country': 'text', 'city': 'text',
    'website': 'text', 'contact_email': 'text', 'employee_count': 'integer', 'annual_revenue': 'number',
    'tier': 'text', 'risk_tolerance': 'text', 'created_at': 'time', 'updated_at': 'time',
}) }}
