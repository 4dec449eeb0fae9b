"""dbt builds and tests aside, and what passed is published."""
