package probestream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

func TestManyItemsAreAskedForInParts(t *testing.T) {
	limits := remembered{lock: make(chan struct{}, 1), limits: &pb.Limits{MaxQueries: 250}, asked: time.Now()}
	client := &Client{limits: limits, deadline: time.Minute}
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

// flaky is a server that cannot be reached at first.
type flaky struct {
	pb.ServerServiceClient
	failures int
}

func (f *flaky) GetServerInfo(context.Context, *pb.GetServerInfoRequest, ...grpc.CallOption) (*pb.GetServerInfoResponse, error) {
	if f.failures--; f.failures >= 0 {
		return nil, status.Error(codes.Unavailable, "away")
	}
	return &pb.GetServerInfoResponse{Limits: &pb.Limits{MaxQueries: 250}}, nil
}

func TestManyItemsAreAskedForThoughTheServerIsAwayForAMoment(t *testing.T) {
	client := &Client{
		server: &flaky{failures: 2}, limits: remembered{lock: make(chan struct{}, 1)}, deadline: time.Minute, retries: 2,
	}
	calls := 0
	err := client.inParts(context.Background(), 300, func(int, int) error {
		calls++
		return nil
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
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
