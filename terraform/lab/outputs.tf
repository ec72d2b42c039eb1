# Read by the `darkroom` command, the tests and releases: `terraform output -json`.

locals {
  # Modules define the names of these settings, and Terraform drops a name that a type lacks: wrong names
  # are found here.
  unknown_settings = sort(concat(
    [for name in setsubtract(keys(var.database), keys(try(module.database[0].settings, var.database))) : "database.${name}"],
    flatten([for part in ["instance", "serverless"] : [
      for name in setsubtract(keys(try(var.database[part], {})), keys(try(module.database[0].settings[part], var.database[part], {}))) : "database.${part}.${name}"
    ]]),
    flatten([for function, worker in module.worker : [
      for name in setsubtract(keys(try(var.workers[function], {})), worker.scaling_names) : "workers.${function}.${name}"
    ]]),
    flatten([for name, function in module.function : [
      for setting in setsubtract(keys(try(var.provisioned_concurrency[name], {})), function.provisioned_concurrency_names) : "provisioned_concurrency.${name}.${setting}"
    ]]),
  ))
}

output "region" {
  description = "AWS region of the lab."
  value       = var.region
}

output "target" {
  description = "Where the lab is applied."
  value       = var.target
}

output "backups" {
  description = "Copies of backups in `backup_region`: the buckets by logical name, the vault, and RDS's replicated automated backups; null without that region."
  value = var.backup_region == null ? null : {
    region                = var.backup_region
    buckets               = try(module.copies[0].bucket_names, {})
    vault                 = module.backup_region[0].vault_name
    replicated_backup_arn = module.backup_region[0].replicated_backup_arn
  }
}

output "api" {
  description = "URL of the API; null without an API."
  value       = one(module.api[*].url)
}

output "site" {
  description = "URL of the web page; null without one."
  value       = one(module.site[*].url)
}

output "buckets" {
  description = "Buckets by logical name."
  value       = module.storage.bucket_names
}

output "tables" {
  description = "Tables by logical name."
  value       = module.storage.table_names
}

output "topics" {
  description = "Topics' ARNs by logical name."
  value       = local.values.topic
}

output "queues" {
  description = "Queue and dead letter queue of each queue function."
  value = {
    for name, queue in module.queue : name => {
      url             = queue.url
      arn             = queue.arn
      dead_letter_url = queue.dead_letter_url
      dead_letter_arn = queue.dead_letter_arn
    }
  }
}

output "workflows" {
  description = "State machines' ARNs by logical name."
  value       = local.values.workflow
}

output "alarms" {
  description = "Alarms that a release watches, by function; empty without alarms."
  value       = module.observability.alarm_names
}

output "dashboard" {
  description = "Name of the dashboard; null without a dashboard."
  value       = module.observability.dashboard_name
}

output "mail_dns_records" {
  description = "DNS records of `mail_domain`, for a zone outside Route 53."
  value       = local.mail_dns_records
}

output "mail_senders" {
  description = "Senders of e-mails by logical name."
  value       = local.mail_senders
}

output "functions" {
  description = "Compute, environment, role, image and versions of each function."
  value = {
    for name in keys(local.manifests) : name => {
      compute      = contains(keys(local.lambdas), name) ? "lambda" : contains(keys(local.workers), name) ? "worker" : "none"
      environment  = local.environments[name]
      role_arn     = try(module.function[name].role_arn, module.worker[name].task_role_arn, null)
      log_group    = try(module.function[name].log_group_name, module.worker[name].log_group_name, null)
      name         = try(module.function[name].name, module.worker[name].service_name, null)
      alias_arn    = try(module.function[name].alias_arn, null)
      image_uri    = lookup(var.image_digests, name, null)
      version      = try(module.function[name].version, null)
      live_version = try(module.function[name].live_version, null)
    }
  }

  precondition {
    condition     = length(local.unknown_settings) == 0
    error_message = "Unknown settings: ${join(", ", local.unknown_settings)}."
  }
}

output "operator_policy_arn" {
  description = "Policy to attach to operators who migrate the database, offer products and name administrators; null without such functions."
  value       = one(aws_iam_policy.operators[*].arn)
}

output "database" {
  description = "Connection URL of Postgres without a password, the secret of its login, and whether functions use IAM tokens."
  value       = { url = local.database.url, secret_arn = local.database.secret_arn, token = local.token }
}
