{#
  What a price is quoted in. Sources name minor units of a currency (GBp, ZAc: case matters), and the marts hold the major
  one (var minor_currencies). Where a row says nothing, it is from before prices carried a currency, and meant USD.
#}
{% macro major_currency(column) -%}
cast(
    case
        when {{ column }} is null or {{ column }} = '' then 'USD'
        {%- for minor, major in var('minor_currencies').items() %}
        when {{ column }} = '{{ minor }}' then '{{ major.currency }}'
        {%- endfor %}
        else {{ hash_text(column, 'key') }}
    end as varchar
)
{%- endmacro %}

{# A price, or an amount, in the major currency; exact, where a division of decimals would be a double on some engine. #}
{% macro in_major(price, column, type='price') -%}
cast(
    case
        {%- for minor, major in var('minor_currencies').items() %}
        when {{ column }} = '{{ minor }}' then {{ as_type(price ~ ' * ' ~ major.factor, type) }}
        {%- endfor %}
        else {{ price }}
    end as {{ sql_type(type) }}
)
{%- endmacro %}

{# Whether a major currency is the dollar or a coin that stands for it (var dollar_coins). #}
{% macro means_usd(column) -%}
{{ column }} in ('{{ (['USD'] + var('dollar_coins')) | join("', '") }}')
{%- endmacro %}

{# An amount of a relation that has is_usd, and null where it is not in USD. #}
{% macro only_usd(relation, column) -%}
{{ as_type('case when ' ~ relation ~ '.is_usd then ' ~ relation ~ '.' ~ column ~ ' end', 'float') }} as {{ column }}
{%- endmacro %}

{# Whether a source of coins gives its volume in the quote currency alone: rows from before `quote_volume` have it in `volume`. #}
{% macro counts_in_quote_currency(source) -%}
({%- for name in var('quote_volume_sources') %}{{ source }} like '{{ name }}%'{{ ' or ' if not loop.last }}{% endfor -%})
{%- endmacro %}

{# Whether two bars of an asset are of one series: of one source, in one currency; coins that stand for the dollar are dollars. #}
{% macro same_series(one, other) -%}
({{ one }}.source = {{ other }}.source and {{ one }}.is_usd = {{ other }}.is_usd
    and ({{ one }}.is_usd or {{ one }}.quote_currency = {{ other }}.quote_currency))
{%- endmacro %}
