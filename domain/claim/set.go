package claim

// Set is the payload of a JWT as strict JSON decoding gives it: strings, bool,
// json.Number, nil, []any and map[string]any, and nothing else. A value of any
// other Go type matches no condition.
type Set map[string]any
