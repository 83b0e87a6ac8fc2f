package exchange

import "testing"

func TestAdmissionIsBoundedAndGivenBack(t *testing.T) {
	var a admission
	for n := range maxInside {
		if !a.enter() {
			t.Fatalf("request %d is refused, %d fit", n+1, maxInside)
		}
	}
	if a.enter() {
		t.Fatalf("more than %d are inside", maxInside)
	}
	a.leave()
	if !a.enter() {
		t.Error("a place that was left is not given again")
	}
	if a.enter() {
		t.Error("a refused request took a place, or gave one back")
	}
}
