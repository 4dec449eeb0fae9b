{# The columns together are never null and never twice. #}
{% test complete_keys(model, columns) %}
select {{ columns | join(', ') }}, count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}

{# Every hash is in its hub. #}
{% test refers_to_hub(model, hub, column) %}
select distinct orphan.{{ column }}
from {{ model }} orphan
left join {{ hub }} hub on orphan.{{ column }} = hub.{{ column }}
where hub.{{ column }} is null
{% endtest %}
