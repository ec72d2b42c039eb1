"""process-image the usual way: everything imported at the top, clients made there, Powertools
around it. It does the job for a photo that is well and comes once."""

import io
import json
import os
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

register_heif_opener()
logger = Logger(service="process-image")
tracer = Tracer(service="process-image")
metrics = Metrics(namespace="darkroom", service="process-image")
processor = BatchProcessor(event_type=EventType.SQS)

s3 = boto3.client("s3")
sns = boto3.client("sns")
table = boto3.resource("dynamodb").Table(os.environ["IMAGES_TABLE"])

SIZES = {"large": 1600, "medium": 640, "thumb": 160}


@tracer.capture_method
def develop(record):
    for item in json.loads(record.body).get("Records", []):
        bucket = item["s3"]["bucket"]["name"]
        key = unquote_plus(item["s3"]["object"]["key"])
        original = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(original))).convert("RGB")
        renditions = []
        for name, size in SIZES.items():
            rendition = picture.copy()
            rendition.thumbnail((size, size))
            out = io.BytesIO()
            rendition.save(out, "JPEG", quality=80)
            target = f"{key}/{name}.jpg"
            s3.put_object(Bucket=os.environ["RENDITIONS_BUCKET"], Key=target, Body=out.getvalue())
            renditions.append(target)
        table.put_item(Item={"owner": key.split("/")[0], "item": key, "renditions": renditions})
        sns.publish(TopicArn=os.environ["IMAGE_EVENTS_TOPIC_ARN"], Message=json.dumps({"key": key}))
        metrics.add_metric(name="developed", unit=MetricUnit.Count, value=1)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    if event.get("warmer"):
        return {"warm": True}
    return process_partial_response(event, develop, processor, context)
