{# The columns together are never null and never twice. #}
{% test complete_keys(model, columns) %}
select {{ columns | join(', ') }}, count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}

{# Every hash is in its hub, or of what else it refers to; a ghost's refers to nothing. #}
{% test refers_to_hub(model, hub, column) %}
select distinct orphan.{{ column }}
from {{ model }} orphan
left join {{ hub }} hub on orphan.{{ column }} = hub.{{ column }}
where hub.{{ column }} is null and {{ is_no_ghost('orphan.' ~ column) }}
{% endtest %}

{# Every pointer of a PIT points to a row of the satellite. #}
{% test points(model, satellite, hk) %}
{%- set name = satellite.identifier | lower %}
select pit.{{ name }}_hk, pit.{{ name }}_row_version
from {{ model }} pit
left join {{ satellite }} pointed on {{ points_to('pit', name, 'pointed', hk) }}
where pointed.{{ hk }} is null
{% endtest %}

{# Of an effectivity satellite: for no driving key are two relations in force at once. #}
{% test one_in_force(model, hk, link, driving_key) %}
select one.{{ driving_key }}, one.valid_from
from {{ in_force(model, hk, link, driving_key) }} one
inner join {{ in_force(model, hk, link, driving_key) }} other
    on one.{{ driving_key }} = other.{{ driving_key }}
    and one.{{ hk }} <> other.{{ hk }}
    and one.valid_from < other.valid_to
    and other.valid_from < one.valid_to
{% endtest %}
