package probestream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

func TestManyItemsAreAskedForInParts(t *testing.T) {
	client := &Client{limits: remembered{lock: make(chan struct{}, 1), limits: &pb.Limits{MaxQueries: 250}, asked: time.Now()}}
	for count, expected := range map[int]string{0: "[0 0]", 100: "[0 100]", 250: "[0 250]", 601: "[0 250 250 500 500 601]"} {
		var parts []int
		err := client.inParts(context.Background(), count, func(begin, end int) error {
			parts = append(parts, begin, end)
			return nil
		})
		if err != nil || fmt.Sprint(parts) != expected {
			t.Errorf("%d items: %v (%v)", count, parts, err)
		}
	}
}

func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	client := &Client{target: "somewhere", deadline: time.Minute, retries: 2}
	for code, expected := range map[codes.Code]int{codes.Unavailable: 3, codes.NotFound: 1, codes.Internal: 1} {
		attempts := 0
		err := client.call(context.Background(), func(context.Context) error {
			attempts++
			return fail(code, "X", "no")
		})
		if ReasonOf(err) != "X" || attempts != expected {
			t.Errorf("%v: %d attempts, %v", code, attempts, err)
		}
	}
	for reason, expected := range map[string]remedy{
		"PLAN_STALE": restart, "UPLOAD_IN_USE": restart, "REROUTED": reroute, "BACKEND_UNAVAILABLE": none, "MEMORY_BUDGET": resume,
		"WORKER_LOST": resume, "SHUTTING_DOWN": resume,
	} {
		code := map[string]codes.Code{"WORKER_LOST": codes.Aborted, "MEMORY_BUDGET": codes.ResourceExhausted}[reason]
		if code == codes.OK {
			code = codes.Unavailable
		}
		if got := toRemedy(fail(code, reason, "")); got != expected {
			t.Errorf("%s: remedy %d", reason, got)
		}
	}
}
