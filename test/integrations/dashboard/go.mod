module serveflow/test/integrations/dashboard

go 1.26

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
