package resource_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// TestNothingComesBack gives commands at random and keeps its own book: a
// version number is given once, what is destroyed is found by nobody again, what
// is deleted stays so, and whatever is decided folds.
func TestNothingComesBack(t *testing.T) {
	paths := []string{"a", "a/b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		var s resource.State
		dead, numbers, gone := map[string]bool{}, map[string]bool{}, map[resource.Ref]bool{}
		id := 0
		fresh := func() string { id++; return fmt.Sprintf("id-%d", id) }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			path := rapid.SampledFrom(paths).Draw(t, "path")
			ref := resource.SecretRef(path)
			r, _ := s.Resource(ref)
			number := rapid.IntRange(0, 6).Draw(t, "number")
			m := domain.Meta{Actor: rapid.SampledFrom([]domain.Actor{admin, admin, admin, alice}).Draw(t, "by"), Now: noon}
			allowed := rapid.Bool().Draw(t, "allowed")
			spec := resource.SecretSpec{Project: rapid.SampledFrom([]domain.Name{"p", "q", "p"}).Draw(t, "project")}
			c := rapid.SampledFrom([]resource.Command{
				resource.CreateProject{Name: "p"},
				resource.DeleteProject{Name: "p", Version: 1},
				resource.CreateSecret{Path: path, Spec: spec, Allowed: allowed},
				resource.CreateSecret{Path: path, Spec: spec, ID: fresh(), Allowed: allowed},
				resource.EditSecret{Path: path, Version: r.Version, Spec: spec},
				resource.AddVersion{Ref: ref, Number: r.Next(""), ID: fresh(), Allowed: allowed},
				resource.AddVersion{Ref: ref, Number: number, ID: fresh(), Allowed: allowed},
				resource.AddVersion{Ref: ref, Number: r.Next(""), ID: fmt.Sprintf("id-%d", number)},
				resource.DestroyVersion{Ref: ref, Number: number, Allowed: allowed},
				resource.DeleteSecret{Path: path, Allowed: allowed},
			}).Draw(t, "command")
			facts, err := resource.Decide(s, c, m)
			if err != nil && len(facts) > 0 {
				t.Fatalf("%T: an error and events", c)
			}
			for _, f := range facts {
				if !m.Actor.Has(domain.ResourceAdmin) && !allowed {
					t.Fatalf("%T by %s, whom nobody lets", c, m.Actor.ID)
				}
				if s, err = resource.Evolve(s, domain.Envelope{Subject: f.Subject, Actor: m.Actor.ID, Time: noon, Event: f.Event}); err != nil {
					t.Fatalf("what was decided does not fold: %v", err)
				}
				switch e := f.Event.(type) {
				case resource.SecretWasCreated:
					if gone[ref] {
						t.Fatalf("%s was given again", path)
					}
				case resource.SecretWasDeleted:
					gone[ref] = true
					for _, v := range r.Versions {
						dead[v.ID] = true
					}
				case resource.VersionWasAdded:
					if key := fmt.Sprint(path, e.Version); numbers[key] || dead[e.ID] {
						t.Fatalf("version %d of %s, %s, was given again", e.Version, path, e.ID)
					} else {
						numbers[key] = true
					}
				case resource.VersionWasDestroyed:
					dead[e.ID] = true
				}
			}
			for id := range dead {
				if s.Standing(id) {
					t.Fatalf("%s stands again", id)
				}
			}
			for _, r := range s.Resources() {
				if _, in := s.Project(r.Project); !in {
					t.Fatalf("%s is in a project that is gone", r.Ref)
				}
				for n := range 8 {
					if v, err := r.Find("", n); err == nil && (dead[v.ID] || !s.Standing(v.ID)) {
						t.Fatalf("version %d of %s is found, and destroyed", v.Number, r.Ref)
					}
				}
			}
		}
	})
}
