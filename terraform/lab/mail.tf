# SES: bounces and complaints, and the identity of a domain. The sender's identity is in shared.tf.

resource "aws_ses_configuration_set" "emails" {
  #checkov:skip=CKV_AWS_365:SES uses TLS wherever the receiver offers it; required TLS would lose the e-mails of customers whose servers do not.
  count = local.has.mail_events ? 1 : 0

  name                       = "${var.prefix}-emails"
  reputation_metrics_enabled = true
}

# Functions name the configuration set of each e-mail, so SES publishes what becomes of it.
resource "aws_ses_event_destination" "bounces" {
  count = local.has.mail_events ? 1 : 0

  name                   = "bounces-and-complaints"
  configuration_set_name = aws_ses_configuration_set.emails[0].name
  enabled                = true
  matching_types         = ["bounce", "complaint"]

  sns_destination {
    topic_arn = aws_sns_topic.this["mail-events"].arn
  }

  # SES publishes a test message when it creates the destination.
  depends_on = [aws_sns_topic_policy.this]
}

resource "aws_ses_domain_identity" "this" {
  count = var.mail_domain == null ? 0 : 1

  domain = var.mail_domain.name
}

resource "aws_ses_domain_dkim" "this" {
  count = var.mail_domain == null ? 0 : 1

  domain = aws_ses_domain_identity.this[0].domain
}

locals {
  # Of each function that sends e-mails, while `ses_max_send_rate` limits it. An e-mail keeps an environment
  # busy for about 0.2 s: the call of SES, the claim and its completion. 2 is the least that Lambda takes;
  # what SES throttles beside that is postponed (PostponedError).
  mail_concurrency = {
    for name, queue in local.queue_functions : name => max(2, min(queue.maximum_concurrency, floor(local.mail_rate * 0.2)))
    if local.mail_rate != null && can(local.manifests[name].environment.MAIL_SENDER)
  }

  # DKIM always has three keys: https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html
  mail_dns_records = var.mail_domain == null ? [] : concat(
    [for number in range(3) : {
      name  = "${aws_ses_domain_dkim.this[0].dkim_tokens[number]}._domainkey.${var.mail_domain.name}"
      type  = "CNAME"
      value = "${aws_ses_domain_dkim.this[0].dkim_tokens[number]}.dkim.amazonses.com"
    }],
    [
      { name = "_amazonses.${var.mail_domain.name}", type = "TXT", value = aws_ses_domain_identity.this[0].verification_token },
      { name = "_dmarc.${var.mail_domain.name}", type = "TXT", value = var.mail_domain.dmarc },
    ],
  )
}

resource "aws_route53_record" "mail" {
  count = try(var.mail_domain.zone_id, null) == null ? 0 : 5

  zone_id = var.mail_domain.zone_id
  name    = local.mail_dns_records[count.index].name
  type    = local.mail_dns_records[count.index].type
  ttl     = 1800
  records = [local.mail_dns_records[count.index].value]
}
