// Package admin is the JSON API that people use, /v1: connections, the
// organisation's settings, who I am, and the audit trail.
//
// [Admin.routes] is the whole of it in one table: what there is, and who may.
// Rules are in domain; what every request has in common is in handlers/api.
// Nothing here fetches from outside but the test of a connection. There is no
// list of workload identities, and there will be none: they are seen in the
// audit trail alone.
package admin
