# The HTTP API: the routes of each function, and an authorizer for routes that need a session.

locals {
  api_name = "${var.prefix}-${var.name}"

  # All HTTP APIs of an account share one log resource policy of limited size; logs with this prefix need
  # no entry in it.
  log_group = "/aws/vendedlogs/apis/${local.api_name}"

  # Source ARNs that may invoke a function: `<api>/<stage>/<METHOD>/<path>`, with `*` for a parameter.
  # Any stage, since there is one; no other API and no other route.
  permitted = {
    for name, r in local.routes : name => join("/", [
      replace(split(" ", r.route)[0], "ANY", "*"),
      replace(trimprefix(split(" ", r.route)[1], "/"), "/{[^{}]+}/", "*"),
    ])
  }

  # The first route of a function has the function's name, the others a number too.
  routes = merge([
    for name, r in var.routes : {
      for i, route in r.routes : (i == 0 ? name : "${name}-${i + 1}") => merge(r, { function = name, route = route, statement = i == 0 ? "Api" : "Api${i + 1}" })
    }
  ]...)
}

# No `cors_configuration`: it would apply to all routes. Each function sends CORS headers of its own
# route, and `answer-preflight` answers preflight requests (docs/decisions.md).
resource "aws_apigatewayv2_api" "this" {
  name          = local.api_name
  description   = "The HTTP API: one function for each route."
  protocol_type = "HTTP"
  # With a custom domain, no second address bypasses its certificate and firewall.
  disable_execute_api_endpoint = var.domain != null
  tags                         = var.tags
}

resource "aws_apigatewayv2_authorizer" "session" {
  count = var.authorizer == null ? 0 : 1

  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "session"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = var.authorizer.alias_invoke_arn
  authorizer_payload_format_version = "2.0"
  enable_simple_responses           = true
  # API Gateway refuses requests without this header before it calls the authorizer.
  identity_sources                 = ["$request.header.Authorization"]
  authorizer_result_ttl_in_seconds = var.authorizer.cache_seconds

  lifecycle {
    # For the other type of authorizers; MiniStack returns an empty one for this type too.
    ignore_changes = [jwt_configuration]
  }
}

resource "aws_lambda_permission" "authorizer" {
  count = var.authorizer == null ? 0 : 1

  statement_id  = "Authorize"
  action        = "lambda:InvokeFunction"
  function_name = var.authorizer.function_name
  qualifier     = var.authorizer.alias_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.session[0].id}"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = var.routes

  api_id                 = aws_apigatewayv2_api.this.id
  description            = each.key
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = each.value.alias_invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:A route is open because its function.yaml says so (signing in, products, payment webhooks); the function itself checks the request.
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.value.route
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value.function].id}"
  authorization_type = each.value.authorization == "none" ? "NONE" : "CUSTOM"
  authorizer_id      = each.value.authorization == "none" ? null : aws_apigatewayv2_authorizer.session[0].id

  lifecycle {
    precondition {
      condition     = each.value.authorization == "none" || var.authorizer != null
      error_message = "${each.key}: ${each.value.route} needs a session, but the API has no authorizer."
    }
  }
}

resource "aws_lambda_permission" "route" {
  for_each = local.routes

  statement_id  = each.value.statement
  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  qualifier     = each.value.alias_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${local.permitted[each.key]}"
}

resource "aws_cloudwatch_log_group" "access" {
  name              = local.log_group
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true
  tags        = var.tags

  default_route_settings {
    throttling_rate_limit    = var.throttling.requests_per_second
    throttling_burst_limit   = var.throttling.burst
    detailed_metrics_enabled = var.detailed_metrics_enabled
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    # Functions log the same `api_request_id`. No header is logged.
    format = jsonencode({
      api_request_id      = "$context.requestId"
      time                = "$context.requestTimeEpoch"
      source_ip           = "$context.identity.sourceIp"
      route               = "$context.routeKey"
      path                = "$context.path"
      status              = "$context.status"
      duration_ms         = "$context.responseLatency"
      function_ms         = "$context.integrationLatency"
      function_request_id = "$context.integration.requestId"
      function_error      = "$context.integrationErrorMessage"
      authorizer_error    = "$context.authorizer.error"
      gateway_error       = "$context.error.message"
      response_bytes      = "$context.responseLength"
    })
  }
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = var.domain == null ? 0 : 1

  domain_name = var.domain.name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = var.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.domain == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.this.id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.default.id
}

resource "aws_route53_record" "this" {
  count = try(var.domain.zone_id, null) == null ? 0 : 1

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = "A"

  alias {
    name                   = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}
