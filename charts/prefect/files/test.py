"""Asks the API for its flows through the login, and asks that it refuses without one."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request

url, login = os.environ["PREFECT_API_URL"], os.environ["AUTH_STRING"]


def count_flows(**headers: str) -> int:
    request = urllib.request.Request(f"{url}/flows/count", b"{}", {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(json.load(answer))


print("flows:", count_flows(Authorization="Basic " + base64.b64encode(login.encode()).decode()))
try:
    count_flows()
except urllib.error.HTTPError as error:
    if error.code != 401:
        raise
    print("without the login: refused")
else:
    sys.exit("the API answered without a login")
