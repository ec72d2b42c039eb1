mock_provider "aws" {}

variables {
  bucket_suffix = "x1"
  buckets = {
    originals  = { versioned = true, upload_origins = ["https://b.example", "https://a.example"] }
    renditions = {}
  }
  tables = {
    images = {
      hash_key  = "owner"
      range_key = "item"
      ttl       = "expires_at"
      indexes   = { by-time = { hash_key = "owner", range_key = "listed_at" } }
    }
    plain = { hash_key = "key" }
  }
}

run "buckets_are_private_and_encrypted" {
  command = plan

  assert {
    condition = alltrue([for b in aws_s3_bucket_public_access_block.this :
      b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets
    ]) && length(aws_s3_bucket_public_access_block.this) == 2
    error_message = "expected all four public access blocks on every bucket"
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_server_side_encryption_configuration.this : one(one(b.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"])
    error_message = "expected every bucket to be encrypted"
  }
  assert {
    condition     = length(aws_s3_bucket_policy.tls_only) == 2
    error_message = "expected every bucket to refuse calls without TLS"
  }
  assert {
    condition     = alltrue([for b in aws_s3_bucket_ownership_controls.this : b.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "expected object ACLs to be disabled"
  }
}

run "bucket_names_versions_and_cors" {
  command = plan

  assert {
    condition     = aws_s3_bucket.this["originals"].bucket == "darkroom-originals-x1"
    error_message = "expected prefix, name, suffix"
  }
  assert {
    condition     = keys(aws_s3_bucket_versioning.this) == ["originals"]
    error_message = "expected versioning only where the topology asks for it"
  }
  assert {
    condition     = keys(aws_s3_bucket_cors_configuration.this) == ["originals"] && one(aws_s3_bucket_cors_configuration.this["originals"].cors_rule).allowed_methods == toset(["POST"])
    error_message = "expected uploads, and nothing else, from web pages"
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this["originals"].rule) == 2 && length(aws_s3_bucket_lifecycle_configuration.this["renditions"].rule) == 1
    error_message = "expected old versions and abandoned uploads to expire"
  }
}

run "tables_are_protected_with_ttl" {
  command = plan

  assert {
    condition = alltrue([for t in aws_dynamodb_table.this :
      t.billing_mode == "PAY_PER_REQUEST" && t.deletion_protection_enabled && one(t.point_in_time_recovery).enabled
    ])
    error_message = "expected tables to be protected and restorable"
  }
  assert {
    condition     = toset([for a in aws_dynamodb_table.this["images"].attribute : a.name]) == toset(["owner", "item", "listed_at"])
    error_message = "expected the attributes of all keys, each once"
  }
  assert {
    condition     = one(aws_dynamodb_table.this["images"].ttl).attribute_name == "expires_at" && length(aws_dynamodb_table.this["plain"].ttl) == 0
    error_message = "expected a TTL where the topology has one"
  }
}

run "bucket_notifies_all_its_queues" {
  command = plan

  variables {
    notifications = {
      originals = {
        b-function = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:b", events = ["s3:ObjectRemoved:*", "s3:ObjectCreated:*"] }
        a-function = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:a", events = ["s3:ObjectCreated:*"] }
      }
    }
  }

  assert {
    condition     = [for q in aws_s3_bucket_notification.this["originals"].queue : q.id] == ["a-function", "b-function"]
    error_message = "expected one configuration with both queues, sorted"
  }
}

run "existing_bucket_sends_events_by_a_rule" {
  command = plan

  variables {
    existing_buckets = { originals = { name = "photos-of-others", prefix = "in*/", suffix = ".jpg", events_by = "eventbridge" } }
    notifications = {
      originals = { process-image = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:q", events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"] } }
    }
  }

  assert {
    condition     = length(terraform_data.notification) == 0 && length(aws_cloudwatch_event_rule.objects) == 1
    error_message = "expected a rule and no notification"
  }
  assert {
    condition = alltrue([for rule in values(aws_cloudwatch_event_rule.objects) : jsondecode(rule.event_pattern).detail == {
      bucket = { name = ["photos-of-others"] }
      object = { key = [{ wildcard = "in\\*/*.jpg" }] }
    }])
    error_message = "expected events of objects with that prefix and that suffix"
  }
}

run "objects_are_replicated_with_their_delete_markers" {
  command = plan

  variables {
    replicas = { originals = "arn:aws:s3:::copies-of-originals" }
  }

  assert {
    condition     = keys(aws_s3_bucket_replication_configuration.this) == ["originals"]
    error_message = "expected the replication of that bucket only"
  }
  assert {
    condition = [for rule in aws_s3_bucket_replication_configuration.this["originals"].rule : [
      rule.status, one(rule.destination).bucket, one(rule.delete_marker_replication).status, length(rule.filter),
    ]] == [["Enabled", "arn:aws:s3:::copies-of-originals", "Enabled", 1]]
    error_message = "expected all objects and delete markers in the bucket of the other region"
  }
}

run "role_of_the_replication_reads_one_bucket_and_writes_the_other" {
  command = plan

  variables {
    replicas = { originals = "arn:aws:s3:::copies-of-originals" }
  }

  override_resource {
    target          = aws_s3_bucket.this
    override_during = plan
    values          = { arn = "arn:aws:s3:::darkroom-originals-x1" }
  }

  assert {
    condition = {
      for s in jsondecode(aws_iam_role_policy.replication[0].policy).Statement : s.Sid => join(" ", s.Resource)
      } == {
      ReadConfiguration = "arn:aws:s3:::darkroom-originals-x1"
      ReadObjects       = "arn:aws:s3:::darkroom-originals-x1/*"
      WriteReplicas     = "arn:aws:s3:::copies-of-originals/*"
    }
    error_message = "expected reading of the one and writing of the other bucket"
  }
}

run "bucket_without_versions_is_not_replicated" {
  command = plan

  variables {
    replicas = { renditions = "arn:aws:s3:::copies-of-renditions" }
  }

  expect_failures = [var.replicas]
}

run "nothing_is_replicated_by_default" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0 && length(aws_iam_role.replication) == 0
    error_message = "expected no replication and no role"
  }
}
