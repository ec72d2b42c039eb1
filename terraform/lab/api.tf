# The HTTP API: the routes of each HTTP function.

module "api" {
  source = "../modules/api"
  count  = local.has.api ? 1 : 0

  prefix             = var.prefix
  throttling         = var.throttling
  domain             = var.domain
  log_retention_days = var.log_retention_days

  routes = {
    for name, route in local.routes : name => {
      routes           = route.routes
      authorization    = route.authorization
      alias_invoke_arn = module.function[name].alias_invoke_arn
      function_name    = module.function[name].name
      alias_name       = module.function[name].alias_name
    }
  }
  authorizer = one([
    for name, authorizer in local.authorizers : {
      alias_invoke_arn = module.function[name].alias_invoke_arn
      function_name    = module.function[name].name
      alias_name       = module.function[name].alias_name
      cache_seconds    = authorizer.cache_seconds
    }
  ])
}
