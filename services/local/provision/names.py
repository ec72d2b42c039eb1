"""Names and ARNs of the resources of a lab, as Terraform gives them."""

from __future__ import annotations

PREFIX = "darkroom"

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
POLICY_VERSION = "2012-10-17"


def resource_name(name: str, prefix: str = PREFIX) -> str:
    return f"{prefix}-{name}"


def workflow_name(name: str, prefix: str = PREFIX) -> str:
    """The name of a state machine and of its role."""
    return f"{resource_name(name, prefix)}-workflow"


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def role_arn(name: str, account: str) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def rule_arn(name: str, queue_arn: str) -> str:
    """The ARN of a rule in the queue's region and account."""
    region, account = queue_arn.split(":")[3:5]
    return f"arn:aws:events:{region}:{account}:rule/{name}"
