"""Makes Prefect know the flows: the work pool, the variables that are missing, and the deployments of prefect.yaml.

Run at every install, upgrade and rollback; a variable somebody changed stays as it is.
"""

import json
import os
import subprocess
import sys
import time

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

WAIT_SECONDS = 300


def main() -> int:
    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + WAIT_SECONDS
        while (error := client.api_healthcheck()) is not None:
            if time.monotonic() > deadline:
                sys.exit(f"{client.api_url} does not answer within {WAIT_SECONDS} s: {error}")
            time.sleep(2)
        try:
            client.create_work_pool(WorkPoolCreate(name=os.environ["WORK_POOL"], type="process"))
        except ObjectAlreadyExists:
            print(f"work pool {os.environ['WORK_POOL']}: there")
        for name, value in json.loads(os.environ["VARIABLES"]).items():
            if client.read_variable_by_name(name) is None:
                client.create_variable(VariableCreate(name=name, value=value))
                print(f"variable {name} = {value}")
    # Prefect writes beside the file it deploys from, and the image is read-only.
    command = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "/app/prefect.yaml"]
    return subprocess.call(command, cwd="/app")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPError as error:
        sys.exit(f"{os.environ['PREFECT_API_URL']} does not answer as a Prefect server: {error}")
