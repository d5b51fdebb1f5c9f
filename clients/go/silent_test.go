package probestream

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
)

// startSilent listens, accepts and says nothing.
func startSilent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return listener.Addr().String()
}

// startMute speaks gRPC, takes all calls, and answers none.
func startMute(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(interface{}, grpc.ServerStream) error {
		<-done
		return nil
	}))
	t.Cleanup(server.Stop)
	t.Cleanup(func() { close(done) })
	go server.Serve(listener)
	return listener.Addr().String()
}

func smallModels(count int) []Model {
	models := make([]Model, count)
	for i := range models {
		models[i] = Tensors("small", []Tensor{Float32("w", []int{1, 2}, []float32{1, 2})}, nil)
	}
	return models
}

func TestAServerThatTakesConnectionsAndSaysNothingIsGivenUp(t *testing.T) {
	short := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, MaxDelay: 50 * time.Millisecond},
		MinConnectTimeout: 50 * time.Millisecond,
	}
	client, err := connect(startSilent(t), Options{Retries: 2}, short)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, call := range map[string]func(context.Context) error{
		"Embed": func(ctx context.Context) error {
			_, err := client.Embed(ctx, smallModels(1)[0], nil)
			return err
		},
		"Experts": func(ctx context.Context) error {
			_, err := client.Experts(ctx)
			return err
		},
	} {
		begin := time.Now()
		err := call(context.Background())
		if took := time.Since(begin); ReasonOf(err) != "SOURCE_UNAVAILABLE" || took > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, took)
		}
	}
}

func TestModelsShareOneDeadlineWhereTheServerAnswersNothing(t *testing.T) {
	client, err := Connect(startMute(t), Options{Deadline: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	begin := time.Now()
	results, err := client.EmbedMany(context.Background(), smallModels(200), nil)
	took := time.Since(begin)
	var own *Error
	if !errors.As(err, &own) || own.Code != codes.DeadlineExceeded || took > 3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	for _, result := range results {
		if result.Err == nil || result.Err.Code != codes.DeadlineExceeded {
			t.Fatalf("the model %d: %v", result.Index, result.Err)
		}
	}
}
