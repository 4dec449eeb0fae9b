{{ hub('customer_hk', {'customer_id': 'key'}, [
    {'model': 'raw_customers', 'columns': ['customer_id']},
    {'model': 'raw_transaction_personal', 'columns': ['customer_id']},
]) }}
