package organisation

// TrailWasExported records that somebody was given the audit trail as a file, all
// that the filters find of it. It changes nothing.
type TrailWasExported struct {
	Format  string            `json:"format"`            // events.ndjson
	Filters map[string]string `json:"filters,omitempty"` // as of GET /v1/audit; none is the whole trail
	UpTo    string            `json:"up_to"`             // position of the newest event there was
}

// EventType is audit.exported.
func (TrailWasExported) EventType() string { return "audit.exported" }
