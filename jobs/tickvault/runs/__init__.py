"""What every run of a job has (entry, session, recorded log, figures for Prometheus), and what every service has."""
