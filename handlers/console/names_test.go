package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

func TestOfTooManyPeopleOneIsFoundByHowTheirNameBegins(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	s.signIn("sam", domain.SecurityAdmin)
	s.api("olga", http.MethodPost, "/groups", `{"name":"ops"}`)
	var crowd []domain.Fact
	for i := range maxOptions {
		n := domain.Name(fmt.Sprintf("worker-%03d", i))
		crowd = append(crowd, domain.Fact{Subject: "person/" + n.String(), Event: person.WasAdded{Name: n, Roles: []domain.Role{domain.Member}}})
	}
	if _, err := s.world.Execute(t.Context(), s.world.Meta("olga", domain.Owner), func(*control.State) ([]domain.Fact, error) { return crowd, nil }); err != nil {
		t.Fatal(err)
	}
	s.wants(http.StatusOK, s.get("olga", s.path("/groups/ops")), "or how it begins")
	for typed, want := range map[string]string{
		" Worker-29": "those begin so: worker-290, worker-291, worker-292, worker-293, worker-294, worker-295, worker-296, worker-297, worker-298, worker-299",
		"sa":         "those begin so: sam",
	} {
		body := s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/groups/ops/add", "person", typed), want)
		if strings.Contains(body, "and more") {
			t.Errorf("%s: more are told of than there are", typed)
		}
		s.wants(http.StatusUnprocessableEntity, s.fills("sam", reachPath+"/ask", "subject.person", typed), want)
	}
	s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/groups/ops/add", "person", "worker-1"), "worker-109 and more")
	if body := s.wants(http.StatusUnprocessableEntity, s.fills("olga", "/groups/ops/add", "person", "zoe")); strings.Contains(body, "begin so:") {
		t.Error("somebody is offered whose name begins otherwise")
	}
}
