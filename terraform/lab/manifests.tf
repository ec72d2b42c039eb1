# Reads the function manifests and the topology. Lists whose order has no meaning are sorted.

locals {
  manifest_files = fileset("${path.module}/../../images", "*/function.yaml")
  all_manifests  = { for found in local.manifest_files : dirname(found) => yamldecode(file("${path.module}/../../images/${found}")) }
  manifests      = { for name, m in local.all_manifests : name => m if(contains(var.features, m.feature) || contains(var.additional_functions, name)) && !contains(var.omitted_functions, name) }
  whole_topology = yamldecode(file("${path.module}/topology.yaml"))
  recipes        = yamldecode(file("${path.module}/${local.whole_topology.recipes}"))

  # References of the manifests of `features`: [kind, logical name].
  references = toset(flatten([
    for name, m in local.manifests : concat(
      [for value in values(try(m.environment, {})) : [for kind, resource in value : "${kind}/${resource}"] if can(keys(value))],
      [for grant in try(m.grants, []) : [for kind, resource in grant : "${kind}/${resource}" if kind != "actions"]],
      [for source in try(m.trigger.queue.sources, []) : [for kind in ["bucket", "topic", "workflow"] : "${kind}/${source[kind]}" if can(source[kind])]],
    )
  ]))
  # The part of the topology that these manifests use. Sites cost nothing and stay whole.
  topology = {
    for kinds, kind in { buckets = "bucket", tables = "table", topics = "topic", mail = "mail", databases = "database", secrets = "secret", workflows = "workflow" } :
    kinds => { for name, resource in try(local.whole_topology[kinds], {}) : name => resource if contains(local.references, "${kind}/${name}") }
  }

  queue_functions = { for name, m in local.manifests : name => m.trigger.queue if can(m.trigger.queue) }
  routes          = { for name, m in local.manifests : name => merge(m.trigger.http, { routes = sort(try(m.trigger.http.routes, [m.trigger.http.route])) }) if can(m.trigger.http) }
  authorizers     = { for name, m in local.manifests : name => m.trigger.authorizer if can(m.trigger.authorizer) }

  # Functions that send messages that wait for their turn or for a quota to their own queue.
  self_sending = toset([for name, queue in local.queue_functions : name if try(queue.fair, false) || try(queue.postpones, false)])

  # Compute of each function.
  workers = { for name, m in local.manifests : name => m if local.has.workers && lookup(var.compute, name, "lambda") == "worker" }
  lambdas = { for name, m in local.manifests : name => m if local.has.functions && lookup(var.compute, name, "lambda") == "lambda" }

  # Functions that use Postgres.
  with_database = toset([for name, m in local.manifests : name if anytrue([for v in values(try(m.environment, {})) : can(v.database)])])

  # Event sources of each queue.
  bucket_sources   = { for name, q in local.queue_functions : name => { for s in q.sources : s.bucket => s if can(s.bucket) } }
  topic_sources    = { for name, q in local.queue_functions : name => { for s in q.sources : s.topic => s if can(s.topic) } }
  workflow_sources = { for name, q in local.queue_functions : name => { for s in q.sources : s.workflow => s if can(s.workflow) } }
  schedules        = { for name, q in local.queue_functions : name => lookup(var.schedules, name, one([for s in q.sources : s.schedule if can(s.schedule)])) }

  # Functions of each workflow: those whose queues its definition names.
  workflow_functions = {
    for name, file in local.topology.workflows : name => toset([
      for found in regexall("\\$\\{queue_([a-z0-9_]+)\\}", file("${path.module}/${file}")) : replace(found[0], "_", "-")
    ])
  }

  # The domain of the page is one of them.
  own_origins  = [for name in try([var.site.domain.name], []) : "https://${name}" if name != null]
  sites        = { for name, origins in local.whole_topology.sites : name => sort(distinct(concat(lookup(var.sites, name, origins), local.own_origins))) }
  mail_senders = { for name, sender in local.topology.mail : name => lookup(var.mail_senders, name, sender) }

  # CORS rules of each route, for `answer-preflight`.
  cors_rules = flatten([for name in sort(keys(local.routes)) : [for route in local.routes[name].routes : {
    method          = split(" ", route)[0]
    path            = split(" ", route)[1]
    origins         = local.sites[local.routes[name].cors.site]
    headers         = sort(try(local.routes[name].cors.allow_headers, []))
    max_age_seconds = local.routes[name].cors.max_age_seconds
  }] if can(local.routes[name].cors.site)])
}
