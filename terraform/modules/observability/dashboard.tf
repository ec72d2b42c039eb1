# The dashboard: the API first, then queues, functions, workflows and the database.

locals {
  width  = 12
  height = 6

  names       = sort(keys(var.functions))
  queue_names = sort(keys(var.queues))

  # Of all but counts.
  metric_units      = merge({ for name in keys(local.metrics) : name => "count" }, { UploadToDeveloped = "ms", QueueWait = "ms", InitDuration = "ms", PhotoBytes = "bytes", MemoryUsed = "MiB" })
  metric_statistics = { for name, unit in local.metric_units : name => { count = "Sum", ms = "p99", bytes = "Average", MiB = "Maximum" }[unit] }

  graphs = concat(
    [for graph in [
      {
        title   = "API: requests and responses"
        stat    = "Sum"
        metrics = [for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", var.api_id]]
      },
      {
        title = "API: latency (ms)"
        stat  = "p99"
        metrics = [
          ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = "p50", label = "p50" }],
          ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = "p99", label = "p99" }],
          ["AWS/ApiGateway", "IntegrationLatency", "ApiId", var.api_id, { stat = "p99", label = "functions, p99" }],
        ]
      },
    ] : graph if var.api_id != null],
    [for graph in [
      {
        title   = "Queues: waiting"
        stat    = "Maximum"
        metrics = [for name in local.queue_names : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queues[name].name, { label = name }]]
      },
      {
        title   = "Queues: age of the oldest message (s)"
        stat    = "Maximum"
        metrics = [for name in local.queue_names : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queues[name].name, { label = name }]]
      },
      {
        title   = "Dead letters"
        stat    = "Maximum"
        metrics = [for name in local.queue_names : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queues[name].dead_letter_name, { label = name }]]
      },
    ] : graph if length(local.queue_names) > 0],
    [
      for graph in [
        { metric = "Errors", stat = "Sum", title = "Functions: errors" },
        { metric = "Throttles", stat = "Sum", title = "Functions: throttles" },
        { metric = "Duration", stat = "p99", title = "Functions: duration, p99 (ms)" },
        { metric = "ConcurrentExecutions", stat = "Maximum", title = "Functions: concurrent executions" },
        ] : {
        title   = graph.title
        stat    = graph.stat
        metrics = [for name in local.names : ["AWS/Lambda", graph.metric, "FunctionName", var.functions[name].name, { label = name }]]
      } if length(local.names) > 0
    ],
    # Whatever values the dimensions have: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
    # The lab's name is a part of the function's on Lambda, and not of a worker's.
    [for name in sort(keys(local.metrics)) : {
      title = "${name} (${local.metric_units[name]})"
      stat  = local.metric_statistics[name]
      metrics = [[{
        expression = "SEARCH('{${join(",", concat([local.metric_namespace, "function"], local.metrics[name]))}} MetricName=\"${name}\"', '${local.metric_statistics[name]}', 60)"
        label      = "$${PROP('Dim.function')}${join("", [for dimension in local.metrics[name] : " $${PROP('Dim.${dimension}')}"])}"
        id         = "search"
      }]]
    }],
    [for name in sort(keys(var.workflow_arns)) : {
      title = "Workflow ${name}: executions"
      stat  = "Sum"
      metrics = [
        for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut"] :
        ["AWS/States", metric, "StateMachineArn", var.workflow_arns[name]]
      ]
    }],
    [
      for graph in [
        { metric = "DatabaseConnections", stat = "Maximum", title = "Database: connections", serverless = null },
        { metric = "CPUUtilization", stat = "Average", title = "Database: CPU (%)", serverless = null },
        { metric = "ServerlessDatabaseCapacity", stat = "Average", title = "Database: capacity (ACU)", serverless = true },
        { metric = "FreeStorageSpace", stat = "Minimum", title = "Database: free storage (bytes)", serverless = false },
        ] : {
        title   = graph.title
        stat    = graph.stat
        metrics = [for id in var.database.instance_identifiers : ["AWS/RDS", graph.metric, "DBInstanceIdentifier", id]]
      } if var.database != null && (graph.serverless == null || graph.serverless == try(var.database.serverless, false))
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard_enabled ? 1 : 0

  dashboard_name = var.prefix
  # Encoded one by one, since the types of their metrics differ.
  dashboard_body = format("{\"widgets\":[%s]}", join(",", [
    for i, graph in local.graphs : jsonencode({
      type   = "metric"
      x      = local.width * (i % 2)
      y      = local.height * floor(i / 2)
      width  = local.width
      height = local.height
      properties = {
        title   = graph.title
        view    = "timeSeries"
        region  = local.region
        period  = 60
        stat    = graph.stat
        metrics = graph.metrics
      }
    })
  ]))
}
