{{ link('link_customer_transaction_hk', {'customer_hk': ['key'], 'transaction_hk': ['key']}, [
    {'model': 'raw_transaction_personal', 'keys': {
        'customer_hk': ['customer_id'], 'transaction_hk': ['transaction_id'],
    }},
]) }}
