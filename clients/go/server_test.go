package probestream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// setting is a server with experts, and files of models: test/clients/go.test.ts makes it.
type setting struct {
	Target string `json:"target"`
	Golden []struct {
		Expert   string      `json:"expert"`
		Files    []string    `json:"files"`
		Texts    [][]float32 `json:"texts"`
		Expected []struct {
			Representation []float32 `json:"representation"`
			Scores         []float32 `json:"scores"`
		} `json:"expected"`
	} `json:"golden"`
	// 21 MB for the expert "large".
	Large string `json:"large"`
}

func open(t *testing.T) (*Client, setting) {
	path := os.Getenv("PROBESTREAM_SETTING")
	if path == "" {
		t.Skip("no server: npm test -- dist/test/clients/go.test.js starts one")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s setting
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return dial(t, s.Target), s
}

func dial(t *testing.T, target string) *Client {
	client, err := Connect(target, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func relativeError(got, expected []float32) float64 {
	if len(got) != len(expected) {
		return math.Inf(1)
	}
	var difference, length float64
	for i := range got {
		difference += math.Pow(float64(got[i])-float64(expected[i]), 2)
		length += math.Pow(float64(expected[i]), 2)
	}
	return math.Sqrt(difference / length)
}

func TestRecordedModelsGiveTheRecordedRepresentations(t *testing.T) {
	client, s := open(t)
	for _, golden := range s.Golden {
		var models []Model
		for i, path := range golden.Files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			models = append(models, []Model{Path(path), Bytes(path, data), Reader(path, strings.NewReader(string(data)), int64(len(data)))}[i%3])
		}
		results, err := client.EmbedMany(context.Background(), models, &EmbedOptions{Experts: []string{golden.Expert}, Texts: golden.Texts})
		if err != nil {
			t.Fatal(err)
		}
		for i, result := range results {
			if result.Err != nil {
				t.Fatalf("%s: %v", golden.Expert, result.Err)
			}
			one := result.Embedding.Experts[0]
			scores := one.TextCosines
			if len(golden.Texts) == 0 {
				scores = one.LabelLogits
			}
			expected := golden.Expected[i]
			if e := relativeError(scores, expected.Scores); e > 1e-5 {
				t.Errorf("%s %d: the scores are off by %g", golden.Expert, i, e)
			}
			if e := relativeError(result.Embedding.Representation(), expected.Representation); len(expected.Representation) > 0 && e > 1e-5 {
				t.Errorf("%s %d: the representation is off by %g", golden.Expert, i, e)
			}
		}
	}
}

// cutter passes connections on, and cuts the first one after so many bytes.
func cutter(t *testing.T, target string, after int64) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for limit := after; ; limit = math.MaxInt64 {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				return
			}
			limit := limit
			go func() {
				defer near.Close()
				defer far.Close()
				io.CopyN(far, near, limit)
			}()
			go io.Copy(near, far)
		}
	}()
	return listener.Addr().String()
}

func TestAnUploadWhoseConnectionIsCutGoesOnWhereTheServerHadGotTo(t *testing.T) {
	_, s := open(t)
	client := dial(t, cutter(t, s.Target, 12<<20))
	touch(t, s.Large)
	var last Progress
	e, err := client.Embed(context.Background(), Path(s.Large), &EmbedOptions{
		Experts: []string{"large"}, Progress: func(p Progress) { last = p },
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.BytesTotal != 21_000_000 || e.BytesReceived >= e.BytesTotal {
		t.Errorf("%d of %d bytes were received in the last call", e.BytesReceived, e.BytesTotal)
	}
	if last.BytesDone != 21_000_000 || last.BytesSent <= e.BytesReceived || last.ModelsDone != 1 {
		t.Errorf("the last progress was %+v", last)
	}
}

// touch makes an upload of its own of a file.
func touch(t *testing.T, path string) {
	if now := time.Now(); os.Chtimes(path, now, now) != nil {
		t.Fatal("the file cannot be touched")
	}
}

func TestACancelledUploadStopsAndLeavesNothingOpen(t *testing.T) {
	client, s := open(t)
	before := runtime.NumGoroutine()
	touch(t, s.Large)
	ctx, cancel := context.WithCancel(context.Background())
	var sent int64
	_, err := client.Embed(ctx, Path(s.Large), &EmbedOptions{Experts: []string{"large"}, Progress: func(p Progress) {
		if sent = p.BytesSent; sent > 2<<20 {
			cancel()
		}
	}})
	var own *Error
	if !errors.As(err, &own) || own.Code != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if sent > 8<<20 {
		t.Errorf("%d bytes were sent", sent)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		info, err := client.ServerInfo(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		open, routines := info.GetMemoryPlan().GetOpenStreams(), runtime.NumGoroutine()
		// The connection itself has a few.
		if open == 0 && routines <= before+4 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are open, %d goroutines in place of %d", open, routines, before)
		}
	}
}

func TestADeadlineEndsAnUpload(t *testing.T) {
	client, s := open(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := client.Embed(ctx, Path(s.Large), nil)
	var own *Error
	if !errors.As(err, &own) || own.Code != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestAModelThatCannotBeReadIsNamedAndStopsNoOther(t *testing.T) {
	client, s := open(t)
	golden := s.Golden[0]
	heard := 0
	results, err := client.EmbedMany(context.Background(), []Model{Path("/no/such.safetensors"), {}, Path(golden.Files[0])}, &EmbedOptions{
		Experts: []string{golden.Expert}, OnResult: func(Result) { heard++ },
	})
	if err != nil || heard != 3 {
		t.Fatalf("%d results, %v", heard, err)
	}
	missing := results[0].Err
	if missing.Reason != "FILE_NOT_FOUND" || missing.Code != codes.NotFound || !errors.Is(missing, os.ErrNotExist) || !strings.Contains(missing.Message, "/no/such.safetensors") {
		t.Errorf("a wrong path: %+v", missing)
	}
	if results[1].Err.Reason != "FIELD_INVALID" || results[2].Err != nil {
		t.Errorf("an empty model: %v; a good one: %v", results[1].Err, results[2].Err)
	}
	if _, err := client.Embed(context.Background(), Path("/no/such.safetensors"), nil); ReasonOf(err) != "FILE_NOT_FOUND" {
		t.Errorf("alone: %v", err)
	}
}

func TestIdsMayBeOfAnyScript(t *testing.T) {
	client, s := open(t)
	golden := s.Golden[0]
	model := Path(golden.Files[0])
	model.ID = "模型/ünï 🎨"
	results, err := client.EmbedMany(context.Background(), []Model{model}, &EmbedOptions{Experts: []string{golden.Expert}})
	if err != nil || results[0].Err != nil || results[0].ModelID != model.ID {
		t.Errorf("%v, %v", results, err)
	}
	if id := Path("/" + strings.Repeat("模", 300)).id(); id != strings.Repeat("模", 200) {
		t.Errorf("an id of %d bytes", len(id))
	}
}

func TestAServerThatIsNotThereIsNamed(t *testing.T) {
	_, s := open(t)
	client, err := Connect("127.0.0.1:1", Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	results, err := client.EmbedMany(context.Background(), []Model{Path(s.Golden[0].Files[0])}, nil)
	if ReasonOf(err) != "SOURCE_UNAVAILABLE" || !strings.Contains(err.Error(), "127.0.0.1:1") || results[0].Err == nil {
		t.Errorf("%v, %v", results, err)
	}
}

func TestOptionsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, options := range map[string]Options{
		"no certificate":   {TLS: &TLS{Authority: []byte("x")}},
		"half a pair":      {TLS: &TLS{Certificate: []byte("x")}},
		"token in clear":   {Token: "secret"},
		"token of a line":  {TLS: &TLS{}, Token: "secret\n"},
		"unreadable pairs": {TLS: &TLS{Certificate: []byte("x"), PrivateKey: []byte("y")}},
	} {
		if _, err := Connect("example.org:443", options); ReasonOf(err) != "FIELD_INVALID" {
			t.Errorf("%s: %v", name, err)
		} else if options.Token != "" && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s is repeated: %v", name, err)
		}
	}
}
