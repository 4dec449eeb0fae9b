{# Why a row is suspect: the names of the conditions that hold, joined by commas; null when none does. #}
{% macro dq_reasons(checks) -%}
nullif(substr(
    {%- for reason, condition in checks %}
    case when {{ condition }} then ',{{ reason }}' else '' end{{ ' ||' if not loop.last }}
    {%- endfor %}
    , 2), '')
{%- endmacro %}
