package probestream

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

func TestATargetWithoutAPortIsRefusedAtOnce(t *testing.T) {
	for _, target := range []string{
		"", "127.0.0.1", "localhost", "::1", ":50051", "host:", "host:0", "host:65536", "a b:1", "me@host:1", "unix:",
		"http://127.0.0.1:50051", "https://models.example.org",
	} {
		_, err := Connect(target, Options{})
		if ReasonOf(err) != "FIELD_INVALID" || !strings.Contains(err.Error(), "give HOST:PORT") {
			t.Errorf("%q: %v", target, err)
		} else if strings.Contains(err.Error(), "without http") != strings.HasPrefix(target, "http") {
			t.Errorf("%q: %v", target, err)
		}
	}
	for _, target := range []string{"models.example.org:443", "[::1]:65535", "dns:///host", "unix:/a"} {
		client, err := Connect(target, Options{})
		if err != nil {
			t.Fatalf("%q: %v", target, err)
		}
		client.Close()
	}
}

func TestATokenThatCannotBeSentIsToldApart(t *testing.T) {
	for token, said := range map[string]string{"secret\n": "holds a line break", "se cret": "a header cannot hold"} {
		_, err := Connect("localhost:1", Options{Token: token})
		if ReasonOf(err) != "FIELD_INVALID" || !strings.Contains(err.Error(), said) || strings.Contains(err.Error(), "cret\"") {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestEveryCallOfAClosedClientSaysSoAtOnce(t *testing.T) {
	client := dial(t, "127.0.0.1:1")
	client.Close()
	ctx, begin := context.Background(), time.Now()
	for name, call := range map[string]func() error{
		"Experts":    func() error { _, err := client.Experts(ctx); return err },
		"ServerInfo": func() error { _, err := client.ServerInfo(ctx); return err },
		"Embed":      func() error { _, err := client.Embed(ctx, Path("a"), nil); return err },
		"Retrieve": func() error {
			_, err := client.Retrieve(ctx, []Query{{Positives: []Example{Text("red")}}}, nil)
			return err
		},
		"Classify":  func() error { _, err := client.Classify(ctx, []Example{ModelID("a")}, nil); return err },
		"Spaces":    func() error { _, err := client.Spaces(ctx); return err },
		"Delete":    func() error { _, err := client.Delete(ctx, []string{"a"}, ""); return err },
		"Export":    func() error { return client.Export(ctx, "", nil, func(Record) error { return nil }) },
		"DropSpace": func() error { return client.DropSpace(ctx, "a") },
	} {
		if err := call(); ReasonOf(err) != "SHUTTING_DOWN" || !strings.Contains(err.Error(), "the client is closed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAServerWithoutTLSIsToldFromOneThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go server.Serve(listener)
	defer server.Stop()
	client, err := Connect(listener.Addr().String(), Options{TLS: &TLS{}, Deadline: 3 * time.Second, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.ServerInfo(context.Background())
	if own, ok := err.(*Error); !ok || own.Code != codes.Unavailable || !strings.Contains(own.Message, "speaks no TLS") {
		t.Errorf("%v", err)
	}
}
