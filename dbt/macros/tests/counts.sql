{# Two relations have the same number of rows. #}
{% test same_count(model, other) %}
select here.row_count, there.row_count as expected
from (select count(*) as row_count from {{ model }}) here
cross join (select count(*) as row_count from {{ other }}) there
where here.row_count <> there.row_count
{% endtest %}

{#
  Row-count reconciliation of a hub with the raw tables: every key of theirs is in it.
  keys: {hub's column: type}; sources: {model: [expression per key]}.
#}
{% test reconciles(model, keys, sources) %}
{%- set columns = keys.keys() | list %}
select raw.*
from (
    {%- for source, expressions in sources.items() %}
    select
        {%- for column, type in keys.items() %}
        {{ hash_text(expressions[loop.index0], type) }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref(source) }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
) raw
left join {{ model }} hub on {% for column in columns %}raw.{{ column }} = hub.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
where hub.{{ columns[0] }} is null
{% endtest %}
