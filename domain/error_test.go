package domain_test

import (
	"errors"
	"strconv"
	"testing"

	"sallyport.dev/domain"
)

func TestAnErrorNamesAHundredFieldsAtMost(t *testing.T) {
	for n, want := range map[int]int{1: 1, 100: 100, 101: 100, 150_000: 100} {
		fields := make([]domain.FieldError, n)
		for i := range fields {
			fields[i].Pointer = "/" + strconv.Itoa(i)
		}
		var e *domain.Error
		if err := domain.ErrFields(fields); !errors.As(err, &e) || len(e.Fields) != want || e.Fields[want-1] != fields[want-1] {
			t.Errorf("%d fields: got %v", n, err)
		}
	}
	if err := domain.ErrFields(nil); err != nil {
		t.Errorf("no fields: got %v", err)
	}
}
