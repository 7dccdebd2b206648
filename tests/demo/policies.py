"""The demo policy, as it is shipped."""

from pathlib import Path

from proxy.policy.load import Loaded, load
from proxy.policy.policy import Policy

FOLDER = Path(__file__).parents[2] / "policies"


def loaded() -> Loaded:
    """Read and check the files."""
    return load({file.relative_to(FOLDER).as_posix(): file.read_bytes() for file in FOLDER.rglob("*") if file.is_file()})


def demo() -> Policy:
    """Give the policy."""
    policy = loaded().policy
    assert policy is not None
    return policy
