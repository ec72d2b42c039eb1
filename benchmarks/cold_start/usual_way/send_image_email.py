"""send-image-email the usual way: everything imported at the top, clients made there, Powertools
around it, its idempotency included."""

import json
import os
from email.message import EmailMessage

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

logger = Logger(service="send-image-email")
tracer = Tracer(service="send-image-email")
metrics = Metrics(namespace="darkroom", service="send-image-email")
processor = BatchProcessor(event_type=EventType.SQS)
claims = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], key_attr="key")

s3 = boto3.client("s3")
ses = boto3.client("ses")


@idempotent_function(
    data_keyword_argument="event",
    persistence_store=claims,
    config=IdempotencyConfig(event_key_jmespath="id"),
)
def send(event):
    data = event["data"]
    message = EmailMessage()
    message["Subject"] = f"Your photo {data['filename']}"
    message["From"] = os.environ["MAIL_SENDER"]
    message["To"] = data["recipient"]
    message.set_content("It is ready.")
    if data.get("thumbnail_key"):
        thumbnail = s3.get_object(
            Bucket=os.environ["RENDITIONS_BUCKET"], Key=data["thumbnail_key"]
        )["Body"].read()
        message.add_attachment(thumbnail, maintype="image", subtype="jpeg")
    return ses.send_raw_email(RawMessage={"Data": message.as_bytes()})["MessageId"]


@tracer.capture_method
def tell(record):
    send(event=json.loads(json.loads(record.body)["Message"]))


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    if event.get("warmer"):
        return {"warm": True}
    return process_partial_response(event, tell, processor, context)
