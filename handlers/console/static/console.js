// What pages do beside htmx.
