"""Makes the lab's queues, schedules, buckets, tables, topics and workflows on an emulator, from the
manifests and the topology: what Terraform makes (terraform/lab); a test compares the two. Safe to
repeat.

What only guards or costs something on AWS (roles, encryption of buckets, backups, TLS only) is
Terraform's alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from services.local.topology import Table, Topology, Workflow
from services.platform.aws.clients import error_code
from services.platform.errors import ConfigurationError
from services.platform.manifest import Manifest, QueueTrigger, Reference, Resource, Source

PREFIX = "darkroom"
# Longest that SQS keeps a message, so that a dead letter can be looked into after a holiday.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600
RETENTION_SECONDS = 4 * 24 * 3600
LONG_POLL_SECONDS = 20
# The most that SNS and Step Functions hand over.
MESSAGE_BYTES_MAX = 262_144
# Amazon's own key for topics; an emulator only remembers it.
TOPIC_KEY = "alias/aws/sns"
# How long a browser keeps the answer whether it may upload.
UPLOAD_MAX_AGE_SECONDS = 600
# The one value of the API that a function can have in its environment.
CORS = "cors"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
POLICY_VERSION = "2012-10-17"
# What a rule's one target is called.
SCHEDULE_TARGET = "queue"
# Secrets of the topology, each made of what its owner knows.
DATABASE = "database"
PAYMENTS = "payments"


@dataclass(frozen=True)
class FunctionQueue:
    """A function's queue and its dead letter queue."""

    url: str
    arn: str
    dead_letter_url: str
    dead_letter_arn: str


@dataclass(frozen=True)
class Database:
    """Where the lab's Postgres is, and who may use it. `url` has no password in it."""

    url: str
    username: str
    password: str


@dataclass(frozen=True)
class Payments:
    """The lab's account with a payment provider: what goes into the secret."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True)
class Lab:
    """What was made, by logical name."""

    queues: Mapping[str, FunctionQueue]
    values: Mapping[Reference, str]

    def environment(self, manifest: Manifest) -> dict[str, str]:
        """What the function finds in its environment: its manifest's, with references resolved."""
        environment = {
            name: self.values[value] if isinstance(value, Reference) else value
            for name, value in manifest.environment.items()
        }
        if manifest.http is not None and manifest.http.cors is not None:
            environment["CORS_ORIGINS"] = self.values[manifest.http.cors.site]
            exposed = sorted(manifest.http.cors.expose_headers)
            environment["CORS_EXPOSE_HEADERS"] = ",".join(exposed)
        return environment

    def bucket(self, name: str) -> str:
        return self.values[Reference(Resource.BUCKET, name)]

    def table(self, name: str) -> str:
        return self.values[Reference(Resource.TABLE, name)]

    def topic(self, name: str) -> str:
        """The topic's ARN."""
        return self.values[Reference(Resource.TOPIC, name)]

    def workflow(self, name: str) -> str:
        """The state machine's ARN."""
        return self.values[Reference(Resource.WORKFLOW, name)]


def resource_name(name: str, prefix: str = PREFIX) -> str:
    return f"{prefix}-{name}"


def provision(
    session: Any,
    topology: Topology,
    manifests: Sequence[Manifest],
    prefix: str = PREFIX,
    database: Database | None = None,
    payments: Payments | None = None,
) -> Lab:
    """Makes everything through `session`'s clients (a boto3 session set up for the emulator).

    Without a `database` or `payments`, the functions that use them have no environment. A workflow
    is made where all functions that it sends to are among `manifests`.

    Raises ConfigurationError when a manifest names what the topology does not have.
    """
    _refuse_unknown(topology, manifests)
    values: dict[Reference, str] = {}
    for name in topology.buckets:
        values[Reference(Resource.BUCKET, name)] = _make_bucket(session, topology, name, prefix)
    for name, table in topology.tables.items():
        values[Reference(Resource.TABLE, name)] = _make_table(session, table, name, prefix)
    topics = session.client("sns")
    for name in topology.topics:
        values[Reference(Resource.TOPIC, name)] = _make_topic(topics, name, manifests, prefix)
    for name, address in topology.mail.items():
        _verify_sender(session, address)
        values[Reference(Resource.MAIL, name)] = address
    for name, origins in topology.sites.items():
        values[Reference(Resource.SITE, name)] = ",".join(sorted(origins))
    values[Reference(Resource.API, CORS)] = json.dumps(cors_rules(topology, manifests))
    if database is not None:
        for name in topology.databases:
            values[Reference(Resource.DATABASE, name)] = database.url
        login = {"username": database.username, "password": database.password}
        values[Reference(Resource.SECRET, DATABASE)] = _make_secret(
            session, DATABASE, login, prefix
        )
    if payments is not None:
        values[Reference(Resource.SECRET, PAYMENTS)] = _make_secret(
            session, PAYMENTS, asdict(payments), prefix
        )
    queues = {
        m.name: _make_queue(session, m, m.queue, values, prefix) for m in manifests if m.queue
    }
    for name, workflow in topology.workflows.items():
        if all(function in queues for function in workflow.functions):
            values[Reference(Resource.WORKFLOW, name)] = _make_workflow(
                session, workflow, name, queues, prefix
            )
    _connect_buckets(session, manifests, queues, values)
    for manifest in manifests:
        for source in manifest.queue.sources if manifest.queue else ():
            if source.reference.resource is Resource.TOPIC:
                _subscribe(topics, values[source.reference], source, queues[manifest.name].arn)
        if manifest.queue and manifest.queue.schedule:
            _schedule(session, manifest, manifest.queue.schedule, queues[manifest.name], prefix)
    return Lab(queues, values)


def _refuse_unknown(topology: Topology, manifests: Sequence[Manifest]) -> None:
    known = {
        Resource.BUCKET: topology.buckets,
        Resource.TABLE: topology.tables,
        Resource.TOPIC: topology.topics,
        Resource.MAIL: topology.mail,
        Resource.DATABASE: topology.databases,
        Resource.SECRET: topology.secrets,
        Resource.SITE: topology.sites,
        Resource.WORKFLOW: topology.workflows,
        Resource.API: (CORS,),
    }
    with_queue = {manifest.name for manifest in manifests if manifest.queue is not None}
    mistakes = []
    for manifest in manifests:
        named = [grant.reference for grant in manifest.grants]
        named += [v for v in manifest.environment.values() if isinstance(v, Reference)]
        named += [s.reference for s in manifest.queue.sources] if manifest.queue else []
        named += [manifest.http.cors.site] if manifest.http and manifest.http.cors else []
        mistakes += [
            f"{manifest.name} names the {r.resource} {r.name!r}, which the topology does not have"
            for r in dict.fromkeys(named)
            if r.name not in known[r.resource]
        ]
        mistakes += [
            f"{manifest.name} names the workflow {value.name!r}, which sends to {function}; "
            "expected its manifest with a queue, found none"
            for value in manifest.environment.values()
            if isinstance(value, Reference)
            and value.resource is Resource.WORKFLOW
            and value.name in topology.workflows
            for function in topology.workflows[value.name].functions
            if function not in with_queue
        ]
        mistakes += [
            f"{manifest.name} names the workflow {source.reference.name!r} as a source, which does "
            "not send to it"
            for source in (manifest.queue.sources if manifest.queue else ())
            if source.reference.resource is Resource.WORKFLOW
            and source.reference.name in topology.workflows
            and manifest.name not in topology.workflows[source.reference.name].functions
        ]
    if mistakes:
        raise ConfigurationError("function manifests", mistakes)


def cors_rules(topology: Topology, manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """The CORS rules of every route that has some, for `answer-preflight`."""
    return [
        {
            "method": manifest.http.method,
            "path": manifest.http.path,
            "origins": sorted(topology.sites[manifest.http.cors.site.name]),
            "headers": sorted(manifest.http.cors.allow_headers),
            "max_age_seconds": manifest.http.cors.max_age_seconds,
        }
        for manifest in manifests
        if manifest.http is not None and manifest.http.cors is not None
    ]


def _make_secret(session: Any, name: str, value: Mapping[str, str], prefix: str) -> str:
    manager = session.client("secretsmanager")
    secret, text = resource_name(name, prefix), json.dumps(value)
    try:
        made = manager.create_secret(Name=secret, SecretString=text)
    except manager.exceptions.ResourceExistsException:
        made = manager.put_secret_value(SecretId=secret, SecretString=text)
    return str(made["ARN"])


def _make_workflow(
    session: Any,
    workflow: Workflow,
    name: str,
    queues: Mapping[str, FunctionQueue],
    prefix: str,
) -> str:
    """The state machine, with the newest definition; its ARN."""
    states = session.client("stepfunctions")
    machine = f"{resource_name(name, prefix)}-workflow"
    definition = workflow.definition({function: queue.url for function, queue in queues.items()})
    # The emulator asks for a role and lets the machine do what it wants.
    role = _role(machine, _account(next(iter(queues.values())).arn))
    try:
        made = states.create_state_machine(name=machine, definition=definition, roleArn=role)
    except states.exceptions.StateMachineAlreadyExists:
        (found,) = [
            item["stateMachineArn"]
            for page in states.get_paginator("list_state_machines").paginate()
            for item in page["stateMachines"]
            if item["name"] == machine
        ]
        states.update_state_machine(stateMachineArn=found, definition=definition, roleArn=role)
        return str(found)
    return str(made["stateMachineArn"])


def _make_bucket(session: Any, topology: Topology, name: str, prefix: str) -> str:
    s3 = session.client("s3")
    bucket = resource_name(name, prefix)
    try:
        s3.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error_code(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    if topology.buckets[name].versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    site = topology.buckets[name].uploads_from
    if site is not None:
        rule = {
            "ID": "uploads",
            "AllowedMethods": ["POST"],
            "AllowedOrigins": sorted(topology.sites[site]),
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": UPLOAD_MAX_AGE_SECONDS,
        }
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    return bucket


def _make_topic(sns: Any, name: str, manifests: Sequence[Manifest], prefix: str) -> str:
    """The topic, in which only the functions that have the grant may publish; its ARN."""
    arn = str(
        sns.create_topic(
            Name=resource_name(name, prefix), Attributes={"KmsMasterKeyId": TOPIC_KEY}
        )["TopicArn"]
    )
    # On Lambda, and as a worker.
    publishers = [
        f"{manifest.name}{suffix}"
        for manifest in sorted(manifests, key=lambda manifest: manifest.name)
        for suffix in (("", "-worker") if manifest.queue else ("",))
        for grant in manifest.grants
        if grant.reference == Reference(Resource.TOPIC, name) and "sns:Publish" in grant.actions
    ]
    statement = {
        "Sid": "Publishers",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{_account(arn)}:root"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {
            "ArnEquals": {
                "aws:PrincipalArn": [
                    _role(resource_name(publisher, prefix), _account(arn))
                    for publisher in publishers
                ]
            }
        },
    }
    policy = json.dumps({"Version": POLICY_VERSION, "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _role(name: str, account: str) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def _rule(name: str, queue_arn: str) -> str:
    """The ARN of a rule in the queue's region and account."""
    region, account = queue_arn.split(":")[3:5]
    return f"arn:aws:events:{region}:{account}:rule/{name}"


def _make_table(session: Any, table: Table, name: str, prefix: str) -> str:
    dynamodb = session.client("dynamodb")
    table_name = resource_name(name, prefix)
    keys = {table.hash_key, *([table.range_key] if table.range_key else [])}
    for index in table.indexes.values():
        keys |= {index.hash_key, index.range_key}
    indexes = [
        {
            "IndexName": index_name,
            "KeySchema": _key_schema(index.hash_key, index.range_key),
            "Projection": {"ProjectionType": "ALL"},
        }
        for index_name, index in table.indexes.items()
    ]
    optional = {"GlobalSecondaryIndexes": indexes} if indexes else {}
    try:
        dynamodb.create_table(
            TableName=table_name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in sorted(keys)],
            KeySchema=_key_schema(table.hash_key, table.range_key),
            **optional,
        )
    except dynamodb.exceptions.ResourceInUseException:
        return table_name
    dynamodb.get_waiter("table_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    if table.ttl:
        dynamodb.update_time_to_live(
            TableName=table_name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl},
        )
    return table_name


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    if range_key:
        schema.append({"AttributeName": range_key, "KeyType": "RANGE"})
    return schema


def _verify_sender(session: Any, address: str) -> None:
    # SES identifies an address without its display name.
    session.client("ses").verify_email_identity(
        EmailAddress=address.rpartition("<")[2].rstrip(">").strip()
    )


def _make_queue(
    session: Any,
    manifest: Manifest,
    trigger: QueueTrigger,
    values: Mapping[Reference, str],
    prefix: str,
) -> FunctionQueue:
    sqs = session.client("sqs")
    name = resource_name(manifest.name, prefix)
    both = {"SqsManagedSseEnabled": "true", "MaximumMessageSize": str(MESSAGE_BYTES_MAX)}
    dead_url, dead_arn = _queue(
        sqs,
        f"{name}-dead-letters",
        {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_SECONDS), **both},
    )
    url, arn = _queue(
        sqs,
        name,
        {
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "VisibilityTimeout": str(manifest.visibility_timeout_seconds),
            "ReceiveMessageWaitTimeSeconds": str(LONG_POLL_SECONDS),
            "RedrivePolicy": json.dumps(
                {"deadLetterTargetArn": dead_arn, "maxReceiveCount": trigger.max_receive_count}
            ),
            **both,
        },
    )
    redrive = {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}
    sqs.set_queue_attributes(
        QueueUrl=dead_url, Attributes={"RedriveAllowPolicy": json.dumps(redrive)}
    )
    if trigger.sources or trigger.schedule:
        senders = [s.reference for s in trigger.sources]
        rule = _rule(name, arn) if trigger.schedule else None
        policy = _let_in(arn, senders, rule, values, prefix)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return FunctionQueue(url, arn, dead_url, dead_arn)


def _queue(sqs: Any, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, got["Attributes"]["QueueArn"]


def _let_in(
    queue_arn: str,
    sources: Sequence[Reference],
    rule_arn: str | None,
    values: Mapping[Reference, str],
    prefix: str,
) -> str:
    """A queue policy that lets in only the named buckets, topics and workflows, and the rule of a
    schedule."""
    ordered = sorted(sources, key=lambda source: (source.resource.value, source.name))
    statements = [
        {
            "Sid": _statement_id(source),
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            **_sender(source, values, prefix, _account(queue_arn)),
        }
        for source in ordered
    ]
    if rule_arn is not None:
        statements.append(
            {
                "Sid": "Schedule",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        )
    return json.dumps({"Version": POLICY_VERSION, "Statement": statements})


def _statement_id(source: Reference) -> str:
    words = [source.resource.value, *source.name.split("-")]
    return "".join(word.capitalize() for word in words)


def _sender(
    source: Reference, values: Mapping[Reference, str], prefix: str, account: str
) -> dict[str, Any]:
    """Principal and condition of the statement that lets `source` in."""
    if source.resource is Resource.BUCKET:
        # A bucket's ARN names no account.
        return {
            "Principal": {"Service": "s3.amazonaws.com"},
            "Condition": {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{values[source]}"},
                "StringEquals": {"aws:SourceAccount": account},
            },
        }
    if source.resource is Resource.TOPIC:
        return {
            "Principal": {"Service": "sns.amazonaws.com"},
            "Condition": {"ArnEquals": {"aws:SourceArn": values[source]}},
        }
    # A workflow is made after the queues: its role is known by name.
    role = _role(f"{resource_name(source.name, prefix)}-workflow", account)
    return {
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }


def _connect_buckets(
    session: Any,
    manifests: Sequence[Manifest],
    queues: Mapping[str, FunctionQueue],
    values: Mapping[Reference, str],
) -> None:
    """One notification configuration a bucket, since each put replaces the one before."""
    s3 = session.client("s3")
    by_bucket: dict[Reference, list[dict[str, Any]]] = {}
    for manifest in manifests:
        for source in manifest.queue.sources if manifest.queue else ():
            if source.reference.resource is Resource.BUCKET:
                by_bucket.setdefault(source.reference, []).append(
                    {
                        "Id": manifest.name,
                        "QueueArn": queues[manifest.name].arn,
                        "Events": sorted(source.events),
                    }
                )
    for reference, configurations in by_bucket.items():
        s3.put_bucket_notification_configuration(
            Bucket=values[reference],
            NotificationConfiguration={"QueueConfigurations": configurations},
        )


def _subscribe(sns: Any, topic_arn: str, source: Source, queue_arn: str) -> None:
    attributes = {}
    if source.filter:
        attributes["FilterPolicy"] = json.dumps({k: sorted(v) for k, v in source.filter.items()})
    sns.subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )


def _schedule(
    session: Any, manifest: Manifest, expression: str, queue: FunctionQueue, prefix: str
) -> None:
    """The rule that sends a message to the function's queue, time after time."""
    events = session.client("events")
    rule = resource_name(manifest.name, prefix)
    events.put_rule(
        Name=rule,
        Description=f"When {manifest.name} is to work.",
        ScheduleExpression=expression,
        State="ENABLED",
    )
    events.put_targets(Rule=rule, Targets=[{"Id": SCHEDULE_TARGET, "Arn": queue.arn}])
