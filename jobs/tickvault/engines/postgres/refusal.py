"""How PostgreSQL says that a person has to act, whichever driver passes it on.

SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

FORBIDDEN = ("28", "3D000", "42501")
"""How SQLSTATEs begin of a wrong password, no such database, a missing privilege."""
REFUSALS = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")
"""What the text holds while connecting, when neither driver gives a SQLSTATE."""
