# Dashboard and alarms.

module "observability" {
  source = "../modules/observability"

  prefix         = var.prefix
  operator_email = var.operator_email
  alarms_enabled = local.has.alarms
  functions = {
    for name, function in module.function : name => { name = function.name, alias_name = function.alias_name, version = function.version, timeout_seconds = local.manifests[name].timeout_seconds }
  }
  queues           = { for name, queue in module.queue : name => { name = queue.name, dead_letter_name = queue.dead_letter_name } }
  log_groups       = merge({ for name, function in module.function : name => function.log_group_name }, { for name, worker in module.worker : name => worker.log_group_name })
  api_id           = one(module.api[*].id)
  http_functions   = toset([for name in concat(keys(local.routes), keys(local.authorizers)) : name if local.has.api])
  sign_in_function = local.sign_in_function
  workflow_arns    = local.values.workflow
  thresholds       = { database_connections = local.connection_threshold }
  database = local.has.database ? {
    instance_identifiers = module.database[0].instance_identifiers
    serverless           = var.database.engine_mode == "serverless"
  } : null
}

locals {
  sign_in_function = one([for name, route in local.routes : name if route.route == "POST /sessions"])

  # Memory of a server in GiB: of the instance class, or of Aurora's maximum capacity (2 GiB each).
  instance_memory = { micro = 1, small = 2, medium = 4, large = 8, xlarge = 16 }
  # Of classes db.r*, which have twice as much; `2xlarge` and more multiply xlarge.
  class_parts   = split(".", var.database.instance.class)
  class_size    = local.class_parts[2]
  class_memory  = try(local.instance_memory[local.class_size], tonumber(trimsuffix(local.class_size, "xlarge")) * 16) * (startswith(local.class_parts[1], "r") || startswith(local.class_parts[1], "x") ? 2 : 1)
  server_memory = var.database.engine_mode == "serverless" ? 2 * var.database.serverless.maximum_acu : local.class_memory
  # 80 % of RDS's default `max_connections`: memory / 9,531,392 bytes, at most 5,000, of which the operating
  # system takes part: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
  connection_threshold = floor(0.8 * min(5000, 0.75 * local.server_memory * 1073741824 / 9531392))
}
