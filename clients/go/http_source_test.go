package probestream

import (
	"bytes"
	"context"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// remoteFile has a tensor of 1,000,000 random bytes.
func remoteFile() []byte {
	data := file(`{"a":{"dtype":"U8","shape":[1000000],"data_offsets":[0,1000000]}}`, 1_000_000)
	rand.New(rand.NewSource(3)).Read(data[len(data)-1_000_000:])
	return data
}

func serve(t *testing.T, handle http.HandlerFunc) string {
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL + "/folder/a.safetensors"
}

func TestARemoteFileIsReadByRangesThroughBreaksAndPassingFaults(t *testing.T) {
	data := remoteFile()
	requests := 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("ETag", `"one"`)
		if requests == 3 {
			// Breaks off after 200 KB.
			http.ServeContent(&cutWriter{w, 200_000}, r, "", time.Time{}, bytes.NewReader(data))
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	m, err := URL(address + "?signature=secret").open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.location, "secret") {
		t.Errorf("the location gives a secret away: %s", m.location)
	}
	got, err := m.read(context.Background(), "a", 0, 1_000_000)
	if err != nil || !bytes.Equal(got, data[len(data)-1_000_000:]) {
		t.Errorf("%d bytes came, which are not those of the file: %v", len(got), err)
	}
	if requests != 4 {
		t.Errorf("%d requests", requests)
	}
}

// cutWriter breaks a connection off.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(data []byte) (int, error) {
	if len(data) > w.left {
		panic(http.ErrAbortHandler)
	}
	w.left -= len(data)
	return w.ResponseWriter.Write(data)
}

func TestATokenStaysWithItsServerWhereThatOneRedirects(t *testing.T) {
	data := file(`{}`, 0)
	var told string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		told = r.Header.Get("Authorization") + r.Header.Get("X-Secret")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	first := ""
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		first = r.Header.Get("Authorization")
		http.Redirect(w, r, other, http.StatusFound)
	})
	header := http.Header{"Authorization": {"Bearer t"}, "X-Secret": {"s"}}
	if _, err := URLWithHeader(address, header).open(context.Background()); err != nil {
		t.Fatal(err)
	}
	if first != "Bearer t" || told != "" {
		t.Errorf("the first server heard %q, the other %q", first, told)
	}
}

func TestARemoteFileThatChangesOrHasNoRangesIsRefused(t *testing.T) {
	data := append(remoteFile(), remoteFile()...)
	etag := 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if etag++; etag > 1 {
			w.Header().Set("ETag", `"two"`)
		} else {
			w.Header().Set("ETag", `"one"`)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s := &httpSource{client: http.DefaultClient, url: at}
	if err := s.readPrefix(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := readRange(context.Background(), s, 500_000, 600_000); ReasonOf(err) != "CORRUPT" {
		t.Errorf("another ETag: %v", err)
	}
	whole := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, bytes.NewReader(data)) })
	if _, err := URL(whole).open(context.Background()); ReasonOf(err) != "LIMIT_EXCEEDED" {
		t.Errorf("no ranges: %v", err)
	}
	if _, err := URL("ftp://secret@host/a").open(context.Background()); ReasonOf(err) != "FIELD_INVALID" || strings.Contains(err.Error(), "secret") {
		t.Errorf("another scheme: %v", err)
	}
}
