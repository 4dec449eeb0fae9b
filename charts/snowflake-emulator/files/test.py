"""Runs a statement through Snowflake's own driver protocol: log in, ask, compare."""

import json
import os
import urllib.request

url = os.environ["EMULATOR"]


def call(path: str, body: dict[str, object], **headers: str) -> dict:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


login = {
    "data": {
        "LOGIN_NAME": "test",
        "PASSWORD": "any",
        "ACCOUNT_NAME": "fakesnow",
        "CLIENT_APP_ID": "PythonConnector",
        "SESSION_PARAMETERS": {},
    }
}
session = call("/session/v1/login-request", login)
assert session["success"], session
token = session["data"]["token"]
answer = call(
    "/queries/v1/query-request?requestId=helm-test",
    {"sqlText": "SELECT 40 + 2 AS n"},
    Authorization=f'Snowflake Token="{token}"',
)
assert answer["success"], answer
print("the emulator answers a query:", [column["name"] for column in answer["data"]["rowtype"]])
