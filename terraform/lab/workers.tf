# Functions that run as ECS services instead of on Lambda.

resource "aws_ecs_cluster" "workers" {
  count = length(local.workers) > 0 ? 1 : 0

  name = "${var.prefix}-workers"

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "workers" {
  count = length(local.workers) > 0 ? 1 : 0

  cluster_name       = aws_ecs_cluster.workers[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

module "worker" {
  source   = "../modules/worker"
  for_each = local.workers

  prefix              = var.prefix
  name                = each.key
  manifest            = each.value
  image_uri           = var.image_digests[each.key]
  architecture        = var.architecture
  environment         = local.environments[each.key]
  policy_statements   = local.policy_statements[each.key]
  queue               = { name = module.queue[each.key].name, url = module.queue[each.key].url, dead_letter_url = module.queue[each.key].dead_letter_url }
  cluster_arn         = aws_ecs_cluster.workers[0].arn
  subnet_ids          = local.worker_networks[each.key].subnet_ids
  security_group_ids  = local.worker_networks[each.key].security_group_ids
  spot_enabled        = try(var.workers[each.key].spot_enabled, false)
  concurrency         = try(var.workers[each.key].concurrency, 1)
  minimum_tasks       = try(var.workers[each.key].minimum_tasks, 0)
  maximum_tasks       = try(var.workers[each.key].maximum_tasks, 10)
  backlog_per_task    = try(var.workers[each.key].backlog_per_task, 50)
  autoscaling_enabled = local.has.autoscaling
  # Emulators run no tasks.
  wait_for_steady_state = local.has.steady_state && try(var.workers[each.key].wait_for_steady_state, true)
  log_retention_days    = var.log_retention_days

  depends_on = [aws_ecs_cluster_capacity_providers.workers]
}

locals {
  # A worker always needs a network: its function's, `worker_network`, or the database's.
  worker_networks = {
    for name in keys(local.workers) : name => coalesce(
      lookup(local.networks, name, null), var.worker_network, local.worker_network
    )
  }
}
