{%- set first = "cast('" ~ var('calendar_first') ~ "' as date)" %}
{%- set days = var('calendar_days') | int %}
{%- set months = [
    'January', 'February', 'March', 'April', 'May', 'June',
    'July', 'August', 'September', 'October', 'November', 'December',
] %}
{%- set weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] %}
{#- What has a day; days of other facts are among these. -#}
{%- set facts = {
    'fct_transactions': 'transaction_date', 'fct_asset_prices': 'price_date', 'fct_asset_price_gaps': 'price_date',
    'fct_news_events': 'published_date',
} -%}
with numbers as (
    {{ dbt.generate_series(days) }}
),

-- The calendar without a gap, and what a fact has beyond it.
days as (
    select
        cast({{ dbt.dateadd('day', 'cast(generated_number as integer) - 1', first) }} as date) as date_day
    from numbers
    {%- for fact, day in facts.items() %}
    union
    select {{ day }} as date_day
    from {{ ref(fact) }}
    where {{ day }} < {{ first }} or {{ day }} >= {{ dbt.dateadd('day', days, first) }}
    {%- endfor %}
),

-- Parts are computed, since the engines' own functions depend on session settings.
parts as (
    select
        date_day,
        extract(year from date_day) as year_number,
        extract(quarter from date_day) as quarter_number,
        extract(month from date_day) as month_number,
        extract(day from date_day) as day_of_month,
        extract(doy from date_day) as day_of_year,
        {{ iso_day_of_week('date_day') }} as day_of_week,
        {{ iso_week('date_day') }} as iso_week,
        {{ dbt.dateadd('day', '4 - ' ~ iso_day_of_week('date_day'), 'date_day') }} as thursday
    from days
)

select
    date_day,
    {{ as_type('year_number', 'integer') }} as year_number,
    {{ as_type('quarter_number', 'integer') }} as quarter_number,
    {{ as_type('month_number', 'integer') }} as month_number,
    cast(
        case month_number
            {%- for month in months %}
            when {{ loop.index }} then '{{ month }}'
            {%- endfor %}
        end as varchar
    ) as month_name,
    {{ as_type('day_of_month', 'integer') }} as day_of_month,
    {{ as_type('day_of_year', 'integer') }} as day_of_year,
    {{ as_type('extract(year from thursday)', 'integer') }} as iso_year,
    {{ as_type('iso_week', 'integer') }} as iso_week,
    {{ as_type('day_of_week', 'integer') }} as day_of_week,
    cast(
        case day_of_week
            {%- for weekday in weekdays %}
            when {{ loop.index }} then '{{ weekday }}'
            {%- endfor %}
        end as varchar
    ) as day_name,
    {{ as_type('day_of_week <= 5', 'flag') }} as is_weekday,
    {{ as_type(dbt.date_trunc('month', 'date_day'), 'date') }} as month_start,
    {{ as_type(dbt.date_trunc('quarter', 'date_day'), 'date') }} as quarter_start,
    {{ as_type(dbt.date_trunc('year', 'date_day'), 'date') }} as year_start
from parts
