package token_test

import "testing"

func BenchmarkDecide(b *testing.B) {
	q := good()
	b.ReportAllocs()
	for b.Loop() {
		if d := q.decide(); !d.Allowed {
			b.Fatal(d.Code)
		}
	}
}
