"""What every run of a job has (entry, session, a kept log, figures for Prometheus), and what every service has."""
