{#
  A raw table as the vault reads it: every state that it holds and, where it has a change table by now, that it held before.
  Columns by name and type, record_source, and the three lineage columns.
  columns: {name: type}. area: batch | prices, the loader's schema. Times are UTC on every engine; the cast drops a zone that is always +00:00.
  added: columns that came later: null while the table has not got them, which is until the next load into it.
#}
{% macro raw_table(table, columns, area='batch', where=none, added={}) -%}
{%- set name = 'raw_' ~ area -%}
{%- set now, before = source(name, table), source(name, table ~ '_changes') -%}
{{ states_of(now, table, columns, where, added) }}
{%- if execute and adapter.get_relation(before.database, before.schema, before.identifier) %}
union all
{{ states_of(before, table, columns, where, added) }}
{%- endif %}
{%- endmacro %}

{% macro states_of(raw, table, columns, where, added) -%}
{%- set held = (adapter.get_columns_in_relation(raw) | map(attribute='name') | map('lower') | list) if added and execute else [] -%}
select
{%- for name, type in added.items() %}
    {{ raw_column(name, type) if name in held else as_type('null', type) }} as {{ name }},
{%- endfor %}
{%- for name, type in columns.items() %}
    {{ raw_column(name, type) }} as {{ name }},
{%- endfor %}
    {{ raw_column("split_part(package_id, '.', 1) || '." ~ table ~ "'", 'text') }} as record_source,
    {{ raw_column('row_version', 'text') }} as row_version,
    {{ raw_column('package_id', 'text') }} as package_id,
    {{ raw_column('load_timestamp', 'time') }} as load_timestamp
from {{ raw }}
{%- if where %}
where {{ where }}
{%- endif %}
{%- endmacro %}

{# A column of a raw table in its type; what an engine has to bring is in macros/engine/. #}
{% macro raw_column(name, type) -%}
  {{ return(adapter.dispatch('raw_column', 'tickvault')(name, type)) }}
{%- endmacro %}

{% macro default__raw_column(name, type) -%}
{{ as_type(name, type) }}
{%- endmacro %}

{% macro raw_transactions(customer_type) -%}
{{ raw_table('raw_transactions_' ~ customer_type, {
    'transaction_id': 'text', 'customer_id': 'text', 'customer_type': 'text', 'company_id': 'text',
    'asset_type': 'text', 'asset_symbol': 'text', 'transaction_type': 'text', 'quantity': 'number',
    'price_per_unit': 'number', 'transaction_amount': 'number', 'fee_amount': 'number', 'currency': 'text',
    'transaction_timestamp': 'time',
}, where="customer_type = '" ~ customer_type ~ "'") }}
{%- endmacro %}

{% macro raw_cryptoprices(source_name) -%}
{{ raw_table('raw_cryptoprices_' ~ source_name, {
    'symbol': 'text', 'base_currency': 'text', 'quote_currency': 'text', 'price': 'price', 'volume': 'number',
    'source': 'text', 'observed_at': 'time', 'price_change_24h': 'price', 'price_change_percent_24h': 'number',
    'high_24h': 'price', 'low_24h': 'price', 'market_cap': 'number',
}, area='prices', added={'price_unit': 'number', 'quote_volume': 'number'}) }}
{%- endmacro %}
