// Package telemetry is how a process is watched: Prometheus metrics, OpenTelemetry
// traces, Go's profiles. It is told what happened and decides nothing.
//
// No label of a metric is a stranger's to choose: connections and organisations
// are those that admins made, reasons are the error codes of the API, and
// whatever else comes is counted under the empty name. No claim, no token and no
// path goes into a trace.
package telemetry
