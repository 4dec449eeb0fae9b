{#
  dbt's own tests of columns, for the quarantine: they keep whole rows and say why, where dbt's keep a value and a count.
  A test of the project goes before dbt's of the same name.
#}
{% test accepted_values(model, column_name, values) %}
select {{ reason(column_name ~ ' is not one of ' ~ values | join(', ')) }}, tested.*
from {{ model }} tested
where tested.{{ column_name }} not in ('{{ values | join("', '") }}')
{% endtest %}

{% test not_null(model, column_name) %}
select {{ reason(column_name ~ ' is null') }}, tested.*
from {{ model }} tested
where tested.{{ column_name }} is null
{% endtest %}

{% test unique(model, column_name) %}
select {{ reason(column_name ~ ' is there more than once') }}, tested.*
from {{ model }} tested
where tested.{{ column_name }} in (
    select {{ column_name }} from {{ model }} where {{ column_name }} is not null group by {{ column_name }} having count(*) > 1
)
{% endtest %}

{% test relationships(model, column_name, to, field) %}
select {{ reason(column_name ~ ' is not in ' ~ to.identifier) }}, tested.*
from {{ model }} tested
left join {{ to }} parent on tested.{{ column_name }} = parent.{{ field }}
where tested.{{ column_name }} is not null and parent.{{ field }} is null
{% endtest %}

{% macro reason(text) -%}
cast('{{ text }}' as varchar) as quarantine_reason
{%- endmacro %}
