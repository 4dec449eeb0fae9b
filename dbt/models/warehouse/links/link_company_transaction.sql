{{ link('link_company_transaction_hk', {'company_hk': ['key'], 'transaction_hk': ['key']}, [
    {'model': 'raw_transaction_corporate', 'keys': {
        'company_hk': ['customer_id'], 'transaction_hk': ['transaction_id'],
    }},
]) }}
