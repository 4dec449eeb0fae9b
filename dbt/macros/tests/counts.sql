{# Two relations have the same number of rows; of raw ones, only what was there when the run started counts. #}
{% test same_count(model, other, raw=false) %}
{%- set counted = 'where ' ~ loaded_before_this_run() if raw else '' %}
select here.row_count, there.row_count as expected
from (select count(*) as row_count from {{ model }} {{ counted }}) here
cross join (select count(*) as row_count from {{ other }} {{ counted }}) there
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
    where {{ loaded_before_this_run() }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
) raw
left join {{ model }} hub on {% for column in columns %}raw.{{ column }} = hub.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
where hub.{{ columns[0] }} is null
{% endtest %}
