# Queues, and the workflows that send to them.

module "queue" {
  source   = "../modules/queue"
  for_each = local.queue_functions

  prefix            = var.prefix
  name              = each.key
  timeout_seconds   = local.manifests[each.key].timeout_seconds
  max_receive_count = each.value.max_receive_count
  tls_only          = local.has.tls

  # ARNs built from names, since references would form a cycle: a bucket notifies its queue, whose policy
  # names the bucket; a workflow sends to its queue, whose policy names the workflow's role.
  bucket_arns = {
    for name in keys(local.bucket_sources[each.key]) :
    name => "arn:${local.partition}:s3:::${try(var.existing_buckets[name].name, join("-", compact([var.prefix, name, var.bucket_suffix])))}"
  }
  event_rules = toset([
    for name in keys(local.bucket_sources[each.key]) : "${var.prefix}-${each.key}" if try(var.existing_buckets[name].events_by, "notification") == "eventbridge"
  ])
  sender_role_arns = {
    for name in keys(local.workflow_sources[each.key]) :
    name => "arn:${local.partition}:iam::${local.account}:role/${var.prefix}-${name}-workflow"
  }
  topic_arns = { for name in keys(local.topic_sources[each.key]) : name => aws_sns_topic.this[name].arn }
  filters    = { for name, source in local.topic_sources[each.key] : name => source.filter if can(source.filter) }
  schedule   = local.schedules[each.key]
}

module "workflow" {
  source   = "../modules/workflow"
  for_each = local.topology.workflows

  prefix             = var.prefix
  name               = each.key
  definition_file    = "${path.module}/${each.value}"
  queues             = { for name in local.workflow_functions[each.key] : name => { url = module.queue[name].url, arn = module.queue[name].arn } }
  log_retention_days = var.log_retention_days
  tracing_enabled    = local.has.workflow_tracing
  alarms_enabled     = local.has.alarms
  alarm_topic_arn    = module.observability.alarm_topic_arn
}
