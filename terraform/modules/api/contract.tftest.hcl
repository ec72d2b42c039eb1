mock_provider "aws" {
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3"
      api_endpoint  = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3"
    }
  }
  mock_resource "aws_apigatewayv2_authorizer" {
    defaults = { id = "auth01" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:access" }
  }
}

variables {
  routes = {
    get-image        = { routes = ["GET /images/{id}"], authorization = "session", function_name = "darkroom-get-image", alias_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/get-image" }
    open-session     = { routes = ["POST /sessions", "POST /sessions/{id}/codes"], authorization = "none", function_name = "darkroom-open-session", alias_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/open-session" }
    answer-preflight = { routes = ["OPTIONS /{proxy+}"], authorization = "none", function_name = "darkroom-answer-preflight", alias_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/answer-preflight" }
  }
  authorizer = {
    function_name    = "darkroom-authorize-request"
    alias_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/authorize-request"
    cache_seconds    = 30
  }
}

run "each_function_has_a_route" {
  command = apply

  assert {
    condition     = aws_apigatewayv2_route.this["get-image"].route_key == "GET /images/{id}" && length(aws_apigatewayv2_route.this) == 4
    error_message = "expected the manifests' routes"
  }
  assert {
    condition     = aws_apigatewayv2_route.this["open-session-2"].route_key == "POST /sessions/{id}/codes" && aws_lambda_permission.route["open-session-2"].statement_id != aws_lambda_permission.route["open-session"].statement_id
    error_message = "expected every route of a function, and a permission for each"
  }
  assert {
    condition     = alltrue([for name, r in aws_apigatewayv2_route.this : r.target == "integrations/${aws_apigatewayv2_integration.this[trimsuffix(name, "-2")].id}"])
    error_message = "expected each route to call its own function"
  }
  assert {
    condition     = alltrue([for name, i in aws_apigatewayv2_integration.this : i.integration_uri == var.routes[name].alias_invoke_arn && i.payload_format_version == "2.0" && i.integration_type == "AWS_PROXY"])
    error_message = "expected events of payload format 2.0 at the alias"
  }
}

run "only_routes_without_authorization_are_open" {
  command = apply

  assert {
    condition     = aws_apigatewayv2_route.this["get-image"].authorization_type == "CUSTOM" && aws_apigatewayv2_route.this["get-image"].authorizer_id == "auth01"
    error_message = "expected the authorizer in front of a session's route"
  }
  assert {
    condition     = aws_apigatewayv2_route.this["open-session"].authorization_type == "NONE" && aws_apigatewayv2_route.this["open-session"].authorizer_id == null
    error_message = "expected no authorizer for signing in"
  }
}

run "authorizer_settings_follow_the_manifest" {
  command = apply

  assert {
    condition = (
      aws_apigatewayv2_authorizer.session[0].authorizer_payload_format_version == "2.0"
      && aws_apigatewayv2_authorizer.session[0].enable_simple_responses
      && one(aws_apigatewayv2_authorizer.session[0].identity_sources) == "$request.header.Authorization"
      && aws_apigatewayv2_authorizer.session[0].authorizer_result_ttl_in_seconds == 30
    )
    error_message = "expected simple responses, cached by the Authorization header for the manifest's seconds"
  }
}

run "functions_allow_their_own_route_only" {
  command = apply

  assert {
    condition = (
      aws_lambda_permission.route["get-image"].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/GET/images/*"
      && aws_lambda_permission.route["open-session"].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/POST/sessions"
      && aws_lambda_permission.route["answer-preflight"].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/OPTIONS/*"
    )
    error_message = "expected the route's own ARN in each permission"
  }
  assert {
    condition     = alltrue([for p in aws_lambda_permission.route : p.qualifier == "live" && p.principal == "apigateway.amazonaws.com"])
    error_message = "expected the alias to be called, by API Gateway"
  }
  assert {
    condition     = aws_lambda_permission.authorizer[0].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/authorizers/auth01"
    error_message = "expected the authorizer to be called by this API's authorizer only"
  }
}

run "api_has_no_cors_configuration" {
  command = apply

  assert {
    condition     = length(aws_apigatewayv2_api.this.cors_configuration) == 0
    error_message = "expected no CORS rules for all routes together: they would replace answer-preflight"
  }
}

run "stage_throttles_and_logs" {
  command = apply

  assert {
    condition     = aws_apigatewayv2_stage.default.name == "$default" && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_rate_limit == 200 && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_burst_limit == 400
    error_message = "expected the throttle"
  }
  assert {
    condition     = jsondecode(aws_apigatewayv2_stage.default.access_log_settings[0].format).api_request_id == "$context.requestId" && !strcontains(lower(aws_apigatewayv2_stage.default.access_log_settings[0].format), "header")
    error_message = "expected JSON lines with the request id, and no header"
  }
  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 30
    error_message = "expected a retention of the log"
  }
}

run "without_domain_the_default_endpoint_is_used" {
  command = apply

  assert {
    condition     = output.url == "https://a1b2c3.execute-api.eu-central-1.amazonaws.com" && !aws_apigatewayv2_api.this.disable_execute_api_endpoint && length(aws_apigatewayv2_domain_name.this) == 0
    error_message = "expected API Gateway's own address"
  }
}

run "domain_disables_the_default_endpoint" {
  command = apply

  variables {
    domain = { name = "api.darkroom.example", certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000", zone_id = "Z1" }
  }

  assert {
    condition     = output.url == "https://api.darkroom.example" && aws_apigatewayv2_api.this.disable_execute_api_endpoint
    error_message = "expected the domain, with the default endpoint disabled"
  }
  assert {
    condition     = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].security_policy == "TLS_1_2" && length(aws_route53_record.this) == 1
    error_message = "expected TLS 1.2 or newer and the record"
  }
}

run "session_route_without_authorizer_is_refused" {
  command = plan

  variables {
    authorizer = null
  }

  expect_failures = [aws_apigatewayv2_route.this]
}

run "duplicate_route_is_refused" {
  command = plan

  variables {
    routes = {
      a = { routes = ["GET /images"], authorization = "none", function_name = "a", alias_invoke_arn = "arn:aws:a" }
      b = { routes = ["GET /images"], authorization = "none", function_name = "b", alias_invoke_arn = "arn:aws:b" }
    }
  }

  expect_failures = [var.routes]
}
