{{ hub('company_hk', {'company_id': 'key'}, [
    {'model': 'raw_corporates', 'columns': ['company_id']},
    {'model': 'raw_transaction_corporate', 'columns': ['customer_id']},
    {'model': 'raw_customers', 'columns': ['company_id'], 'where': 'company_id is not null'},
]) }}
