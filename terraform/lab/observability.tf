# Dashboard and alarms.

module "observability" {
  source = "../modules/observability"

  prefix         = var.prefix
  operator_email = var.operator_email
  alarms_enabled = local.has.alarms
  omitted_alarms = var.omitted_alarms
  functions = {
    for name, function in module.function : name => { name = function.name, alias_name = function.alias_name, version = function.version, timeout_seconds = local.manifests[name].timeout_seconds, init_ms = local.manifests[name].budgets.init_ms }
  }
  queues = {
    for name, queue in module.queue : name => {
      name             = queue.name
      dead_letter_name = queue.dead_letter_name
      event_source     = local.event_source_metrics && contains(keys(local.lambdas), name) ? { uuid = module.function[name].event_source_uuid } : null
    }
  }
  log_groups       = merge({ for name, function in module.function : name => function.log_group_name }, { for name, worker in module.worker : name => worker.log_group_name })
  api_id           = one(module.api[*].id)
  http_functions   = toset([for name in concat(keys(local.routes), keys(local.authorizers)) : name if local.has.api])
  sign_in_function = local.sign_in_function
  photo_function   = "process-image"
  workflow_arns    = local.values.workflow
  thresholds       = { database_connections = local.connection_threshold }
  database = local.has.database_server ? {
    instance_identifiers = module.database[0].instance_identifiers
    serverless           = module.database[0].settings.engine_mode == "serverless"
  } : null
}

locals {
  # For the alarm only.
  event_source_metrics = local.has.alarms && !contains(var.omitted_alarms, "failed-events")

  sign_in_function = one([for name, route in local.routes : name if contains(route.routes, "POST /sessions")])

  # 80 % of the server's limit; without a database of this lab there is no such alarm.
  connection_threshold = floor(0.8 * try(module.database[0].connection_limit, 100))
}
