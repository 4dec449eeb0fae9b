"""Loads images into a kind cluster: those its node lacks and this machine has, all in one `kind load`.

Reads references from standard input, one per line. What this machine does not have the node pulls by itself.
"""

import subprocess
import sys


def main(cluster: str) -> None:
    """Load what is missing on the cluster's first node; all nodes get the same images."""
    wanted = {_full(line.strip()): line.strip() for line in sys.stdin if line.strip()}
    node = _lines("kind", "get", "nodes", "--name", cluster)[0]
    there = set(_lines("docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "list", "-q"))
    local = {_full(name) for name in _lines("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")}
    missing = [reference for name, reference in sorted(wanted.items()) if name in local - there]
    if not missing:
        sys.stdout.write(f"the cluster {cluster} has all {len(wanted)} images\n")
        return
    sys.stdout.write(f"loading {len(missing)} of {len(wanted)} images into {cluster}: {' '.join(missing)}\n")
    sys.stdout.flush()
    subprocess.run(["kind", "load", "docker-image", "--name", cluster, *missing], check=True, capture_output=True)


def _full(reference: str) -> str:
    """Give the reference as containerd lists it: with registry and, for official images, `library/`."""
    first, _, rest = reference.partition("/")
    if not rest:
        return f"docker.io/library/{reference}"
    return reference if "." in first or ":" in first or first == "localhost" else f"docker.io/{reference}"


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    main(sys.argv[1])
