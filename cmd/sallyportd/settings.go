package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"sallyport.dev/domain"
)

// envPrefix begins the name of every variable that is a setting:
// SALLYPORT_DATA_DIR, and SALLYPORT_NATS__URL for one in a group.
const envPrefix = "SALLYPORT_"

// setting is one key of [Config].
type setting struct {
	key    string // such as nats.url
	typ    reflect.Type
	group  bool // it has settings of its own
	secret bool // it never stands in the file, and shows nowhere
}

// settings lists every key of Config, groups before what is in them.
func settings() []setting { return settingsOf(reflect.TypeFor[Config](), "") }

func settingsOf(t reflect.Type, prefix string) (all []setting) {
	for i := range t.NumField() {
		f := t.Field(i)
		secret := f.Type == reflect.TypeFor[domain.Secret]()
		s := setting{prefix + f.Tag.Get("json"), f.Type, f.Type.Kind() == reflect.Struct && !secret, secret}
		all = append(all, s)
		if s.group {
			all = append(all, settingsOf(f.Type, s.key+".")...)
		}
	}
	return all
}

func findSetting(key string) (setting, bool) {
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return all[i], true
}

// env is the name of the variable that sets it.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "__"))
}

// parse is the text of a variable as the file would have it; text that is not
// of the type is left as it is, to be refused as in the file.
func (s setting) parse(text string) any {
	switch s.typ.Kind() {
	case reflect.Slice:
		if s.typ.Elem().Kind() == reflect.Struct {
			return json.RawMessage(text)
		}
		var list []any
		for item := range strings.SplitSeq(text, ",") {
			list = append(list, setting{typ: s.typ.Elem()}.parse(strings.TrimSpace(item)))
		}
		return list
	case reflect.Bool, reflect.Int, reflect.Uint16, reflect.Float64:
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return json.RawMessage(text)
		}
	}
	return text
}

// loaded is a configuration and where each of its settings comes from.
type loaded struct {
	Config
	// from has, by key, the source of each setting that is not the default.
	from map[string]string
	// unused are variables that look like settings and are none.
	unused []string
}

// loadConfig is [readConfig] for those who want the settings alone.
func loadConfig(path string, environ []string) (Config, error) {
	l, err := readConfig(path, environ)
	return l.Config, err
}

// readConfig reads the configuration, strictly, and checks all of it; what is
// wrong with it is a *configError. What is said nearer to the process wins:
//
//	the defaults < the file < systemd's credentials < environment variables
//
// environ is as of [os.Environ]. A variable that is empty is not set. A file
// $CREDENTIALS_DIRECTORY/x is what the setting x_file names, such as
// key_encryption_key, nats.credentials and tls.key.
func readConfig(path string, environ []string) (loaded, error) {
	l := loaded{Config: defaults(), from: map[string]string{}}
	p := problems{unread: map[string]bool{}, named: map[string]string{}}
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return loaded{}, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	l.fill(k, path, &p)
	l.credentials(lookup(environ, "CREDENTIALS_DIRECTORY"))
	if err := l.environment(environ, &p); err != nil {
		return loaded{}, err
	}
	if l.Tracing.Endpoint == "" {
		l.Tracing.Endpoint = lookup(environ, "OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	l.check(&p)
	if len(p.lines) > 0 {
		return loaded{}, &configError{path, p.lines}
	}
	return l, nil
}

// lookup is a variable's value, "" where it is not set.
func lookup(environ []string, name string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// configError is everything that is wrong with a configuration, a line each.
type configError struct {
	path  string
	lines []string
}

func (e *configError) Error() string {
	return "the configuration " + e.path + ": " + strings.Join(e.lines, "; ")
}

// problems are what is wrong so far. Of a setting that could not be read no
// more is told: what it lacks is not what is wrong with it.
type problems struct {
	unread map[string]bool
	named  map[string]string // by key, the variable that says it
	lines  []string
}

func (p *problems) add(key, format string, args ...any) {
	group, _, _ := strings.Cut(key, ".")
	if p.unread[key] || p.unread[group] {
		return
	}
	name := key
	if v := p.named[key]; v != "" {
		name = v + " (" + key + ")"
	}
	p.lines = append(p.lines, name+" "+fmt.Sprintf(format, args...))
}

// fill sets what the file says, one setting after the other, so that one that
// is no setting, or of a wrong type, hides no other.
func (l *loaded) fill(k *koanf.Koanf, from string, p *problems) {
	for _, key := range k.Keys() {
		_, _, grouped := strings.Cut(key, ".")
		s, known := findSetting(key)
		switch _, dotted := k.Raw()[key]; {
		case !known || grouped && dotted:
			p.add(key, "is no setting")
		case s.secret:
			p.add(key, "is a secret and does not belong in the file: name one in %s_file, or set %s", key, s.env())
		default:
			l.set(s, k.Get(key), from, p)
		}
	}
}

// set takes one value in, or tells why it is none.
func (l *loaded) set(s setting, value any, from string, p *problems) {
	path := strings.Split(s.key, ".")
	doc := map[string]any{path[len(path)-1]: value}
	for _, group := range slices.Backward(path[:len(path)-1]) {
		doc = map[string]any{group: doc}
	}
	b, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(b, &l.Config)
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		l.from[s.key] = from
		return
	case errors.As(err, &wrong):
		p.add(s.key, "is %s, wanted %s", given(wrong.Value), wanted(wrong.Type))
	case s.typ == reflect.TypeFor[Duration]():
		p.add(s.key, "%v", err)
	default:
		p.add(s.key, "cannot be read: %v", err)
	}
	p.unread[s.key] = true
}

// credentials takes what systemd keeps for the service (LoadCredential=).
func (l *loaded) credentials(dir string) {
	if dir == "" {
		return
	}
	for _, s := range settings() {
		name, isFile := strings.CutSuffix(s.key, "_file")
		path := filepath.Join(dir, name)
		if !isFile {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			continue // there is no such credential
		}
		var p problems // a path is a text: nothing can be wrong with it
		l.set(s, path, "credential "+name, &p)
	}
}

// environment takes the variables in. A secret may be there itself, or in a file
// that is named there, and is then not also taken from elsewhere.
func (l *loaded) environment(environ []string, p *problems) error {
	k := koanf.New(".")
	named := map[string]string{}
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", "."))
			s, known := findSetting(key)
			switch {
			case known && !s.group && s.env() == name && value != "":
				named[key] = name
				return key, s.parse(value)
			case known && !s.group && s.env() == name:
			case strings.Contains(name, "__"):
				p.lines = append(p.lines, name+" is no setting")
			case !others(name):
				l.unused = append(l.unused, name)
			}
			return "", nil
		},
	}), nil)
	if err != nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	for _, key := range k.Keys() {
		s, _ := findSetting(key)
		delete(p.unread, key) // whatever the file said
		p.named[key] = named[key]
		l.set(s, k.Get(key), named[key], p)
	}
	for _, s := range settings() {
		if s.secret && named[s.key] != "" {
			l.setSecret(s, named, p)
		}
	}
	slices.Sort(p.lines)
	slices.Sort(l.unused)
	return nil
}

// setSecret drops the file of a secret that the environment holds itself.
func (l *loaded) setSecret(s setting, named map[string]string, p *problems) {
	in, _ := findSetting(s.key + "_file")
	if named[in.key] != "" {
		p.add(s.key, "and %s are both set: say which", named[in.key])
		return
	}
	l.set(in, "", "default", p)
	delete(l.from, in.key)
}

// others tells the variables that have our prefix and mean somebody else: our
// client, our own build, and what Kubernetes sets for a service called sallyport.
func others(name string) bool {
	switch rest := strings.TrimPrefix(name, envPrefix); rest {
	case "ADDR", "ORG", "TOKEN", "VECTORS", "VULNDB":
		return true
	default:
		return strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "PORT")
	}
}

// given names for people what the file has.
func given(value string) string {
	switch value {
	case "array":
		return "a list"
	case "object":
		return "a group of settings"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	}
	return value // number, or number 70000
}

// wanted names a type of [Config] for people.
func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return "a duration such as 10s"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a group of settings"
	case reflect.Uint16:
		return "a port, 1 to 65535"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}
