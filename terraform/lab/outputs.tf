# What the command, the tests and a deployment read: `terraform output -json`.

output "region" {
  description = "Where the lab is."
  value       = var.region
}

output "target" {
  description = "What was applied to."
  value       = var.target
}

output "api" {
  description = "Where the API answers; null where there is none."
  value       = one(module.api[*].url)
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
  description = "Queue of each function that has one."
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
  description = "Alarms that tell of each function's failures, which a deployment watches; none where there are no alarms."
  value       = module.observability.alarm_names
}

output "dashboard" {
  description = "The dashboard's name; null where there is none."
  value       = module.observability.dashboard_name
}

output "mail_senders" {
  description = "Senders of e-mails by logical name."
  value       = local.mail_senders
}

output "functions" {
  description = "Every function: where it runs, its environment, its role, its versions."
  value = {
    for name in keys(local.manifests) : name => {
      compute      = contains(keys(local.lambdas), name) ? "lambda" : contains(keys(local.workers), name) ? "worker" : "none"
      environment  = local.environments[name]
      role_arn     = try(module.function[name].role_arn, module.worker[name].task_role_arn, null)
      name         = try(module.function[name].name, module.worker[name].service_name, null)
      alias_arn    = try(module.function[name].alias_arn, null)
      version      = try(module.function[name].version, null)
      live_version = try(module.function[name].live_version, null)
    }
  }
}

output "database" {
  description = "Where Postgres is: its URL without a password, and its login's secret where it has one."
  value       = { url = local.database.url, secret_arn = local.database.secret_arn, token = local.token }
}
