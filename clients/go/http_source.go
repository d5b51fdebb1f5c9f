package probestream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	httpAttempts = 5
	// Without a byte for so long an attempt counts as failed.
	httpIdle         = 60 * time.Second
	maxRedirects     = 5
	maxWholeFile     = 1 << 20
	longestHTTPPause = 60 * time.Second
)

// URL is a model behind an http(s) address: a .safetensors file or an index of shards. Only the wanted ranges are read.
func URL(address string) Model { return URLWithHeader(address, nil) }

// URLWithHeader is URL with headers, such as a token's; they are sent to the address's own server alone, also where that
// one redirects to another.
func URLWithHeader(address string, header http.Header) Model {
	shown := "a URL that cannot be read"
	parsed, err := url.Parse(address)
	if err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" {
		shown = display(parsed)
	} else {
		parsed = nil
	}
	return Model{location: shown, open: func(ctx context.Context) (*openModel, error) {
		if parsed == nil {
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "A URL could not be read; it must start with https:// or http://.")
		}
		return openURL(ctx, parsed, header)
	}}
}

// display leaves out what may be secret.
func display(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

func openURL(ctx context.Context, u *url.URL, header http.Header) (*openModel, error) {
	besides := func(name string) string {
		other := *u
		other.Path, other.RawPath = path.Join(path.Dir(u.Path), name), ""
		return other.String()
	}
	client := &http.Client{CheckRedirect: func(request *http.Request, via []*http.Request) error {
		return checkRedirect(request, via, header)
	}}
	return openLocation(ctx, u.String(), display(u), true, besides, func(ctx context.Context, location string) (source, error) {
		at, err := url.Parse(location)
		if err != nil {
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "a URL could not be read")
		}
		s := &httpSource{client: client, url: at, header: header}
		if err := s.readPrefix(ctx); err != nil {
			return nil, err
		}
		return s, nil
	})
}

func checkRedirect(request *http.Request, via []*http.Request, private http.Header) error {
	from := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return fail(codes.InvalidArgument, "FIELD_INVALID", fmt.Sprintf("%s redirects more than %d times; give the file's own address.", display(via[0].URL), maxRedirects))
	case from.Scheme == "https" && request.URL.Scheme != "https":
		return fail(codes.InvalidArgument, "FIELD_INVALID", fmt.Sprintf("%s redirects from https to http (%s); give an address that stays encrypted.", display(from), request.URL.Host))
	case request.URL.Host != via[0].URL.Host || request.URL.Scheme != via[0].URL.Scheme:
		for name := range private {
			request.Header.Del(name)
		}
		request.Header.Del("Authorization")
	}
	return nil
}

// httpSource is a remote file, asked for range by range. All ranges must be of the same state of the file.
type httpSource struct {
	client         *http.Client
	url            *url.URL
	header         http.Header
	bytes          int64
	etag, modified string
	known          bool
	// prefix has the first bytes: most headers are in them.
	prefix []byte
}

func (s *httpSource) name() string { return display(s.url) }
func (s *httpSource) size() int64  { return s.bytes }
func (s *httpSource) close()       {}

func (s *httpSource) fingerprint() string {
	if s.etag == "" && s.modified == "" {
		// Nothing tells whether the bytes are the same.
		return newID()
	}
	return fmt.Sprintf("%s %d %q %q", display(s.url), s.bytes, s.etag, s.modified)
}

func (s *httpSource) stream(ctx context.Context, begin, end int64) (io.ReadCloser, error) {
	if end <= int64(len(s.prefix)) {
		return io.NopCloser(bytes.NewReader(s.prefix[begin:end])), nil
	}
	return &httpRange{ctx: ctx, of: s, at: begin, end: end}, nil
}

// readPrefix asks for the first bytes, which also tells the size.
func (s *httpSource) readPrefix(ctx context.Context) error {
	for failures := 1; ; failures++ {
		err := s.readPrefixOnce(ctx)
		if err == nil {
			return nil
		}
		if err := s.recover(ctx, err, failures); err != nil {
			return err
		}
	}
}

func (s *httpSource) readPrefixOnce(ctx context.Context) error {
	body, err := s.request(ctx, 0, prefixBytes)
	if err != nil {
		return err
	}
	defer body.Close()
	limit := min(s.bytes, prefixBytes)
	if body.whole {
		limit = maxWholeFile + 1
	}
	s.prefix, err = io.ReadAll(io.LimitReader(body, limit))
	if err != nil {
		return transient{what: "the connection broke off", cause: err}
	}
	if body.whole {
		if len(s.prefix) > maxWholeFile {
			message := fmt.Sprintf("%s comes from a server that ignores range requests; at most %d bytes are taken whole. Download the file and give its path.", s.name(), maxWholeFile)
			return fail(codes.ResourceExhausted, "LIMIT_EXCEEDED", message, "url", s.name(), "maxBytes", maxWholeFile)
		}
		s.bytes = int64(len(s.prefix))
	} else if int64(len(s.prefix)) < limit {
		return transient{what: "the connection broke off"}
	}
	return nil
}

var contentRange = regexp.MustCompile(`^bytes (\d+)-(\d+)/(\d+)$`)

type httpBody struct {
	io.Reader
	close func()
	whole bool
}

func (b *httpBody) Close() error { b.close(); return nil }

// request asks for a range. Its body is given up when nothing comes for too long.
func (s *httpSource) request(ctx context.Context, begin, end int64) (*httpBody, error) {
	ctx, cancel := context.WithCancel(ctx)
	watch := time.AfterFunc(httpIdle, cancel)
	stop := func() { watch.Stop(); cancel() }
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		stop()
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "a URL could not be read")
	}
	for name, values := range s.header {
		request.Header[name] = values
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", begin, end-1))
	response, err := s.client.Do(request)
	if err != nil {
		stop()
		var own *Error
		if errors.As(err, &own) {
			return nil, own
		}
		return nil, transient{what: fmt.Sprintf("%s: no answer", s.url.Host), cause: err}
	}
	body := &httpBody{
		Reader: readerFunc(func(buffer []byte) (int, error) {
			watch.Reset(httpIdle)
			return response.Body.Read(buffer)
		}),
		close: func() { stop(); response.Body.Close() },
		whole: response.StatusCode == http.StatusOK,
	}
	if err := s.take(response, begin); err != nil {
		body.Close()
		return nil, err
	}
	return body, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(buffer []byte) (int, error) { return f(buffer) }

// take checks an answer, and remembers the state of the file that the first one tells.
func (s *httpSource) take(response *http.Response, begin int64) error {
	etag, modified := strings.TrimPrefix(response.Header.Get("ETag"), "W/"), response.Header.Get("Last-Modified")
	switch status := response.StatusCode; {
	case status == http.StatusOK && s.known:
		// One server of several behind an address, or a passing fault: it gave ranges before.
		return transient{what: "the server gave the whole file instead of a range"}
	case status == http.StatusOK:
		s.etag, s.modified = etag, modified
		return nil
	case status == http.StatusRequestedRangeNotSatisfiable && !s.known && response.Header.Get("Content-Range") == "bytes */0":
		s.bytes, s.known = 0, true
		return nil
	case status != http.StatusPartialContent:
		return s.statusError(response)
	}
	parts := contentRange.FindStringSubmatch(response.Header.Get("Content-Range"))
	if parts == nil || parts[1] != strconv.FormatInt(begin, 10) {
		message := fmt.Sprintf("%s answered a request for a byte range with one that does not fit it; download the file and give its path.", s.name())
		return fail(codes.Unavailable, "SOURCE_UNAVAILABLE", message, "url", s.name(), "begin", begin)
	}
	size, err := strconv.ParseInt(parts[3], 10, 64)
	switch {
	case err != nil:
		return fail(codes.Unavailable, "SOURCE_UNAVAILABLE", fmt.Sprintf("%s has a size beyond 2^63", s.name()))
	case !s.known:
		s.bytes, s.etag, s.modified, s.known = size, etag, modified, true
	case size != s.bytes || (s.etag != "" && etag != "" && etag != s.etag) || (s.etag == "" && modified != s.modified):
		message := fmt.Sprintf("%s has changed while it was being read. Start again to read the new file.", s.name())
		return fail(codes.DataLoss, "CORRUPT", message, "url", s.name())
	}
	return nil
}

func (s *httpSource) statusError(response *http.Response) error {
	status := response.StatusCode
	switch {
	case status == 404 || status == 410:
		message := fmt.Sprintf("There is no file at %s (HTTP %d); check the address.", s.name(), status)
		return fail(codes.NotFound, "FILE_NOT_FOUND", message, "url", s.name(), "status", status)
	case status == 401 || status == 403:
		message := fmt.Sprintf("%s may not be read (HTTP %d): give a token with URLWithHeader. Hubs answer the same for repositories that do not exist.", s.name(), status)
		return fail(codes.PermissionDenied, "ACCESS_DENIED", message, "url", s.name(), "status", status)
	case status == 408 || status == 425 || status == 429 || status >= 500:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return transient{what: fmt.Sprintf("HTTP %d", status), after: min(time.Duration(seconds)*time.Second, longestHTTPPause)}
	}
	message := fmt.Sprintf("%s answered HTTP %d to a request for a byte range; check the address.", s.name(), status)
	return fail(codes.Unavailable, "SOURCE_UNAVAILABLE", message, "url", s.name(), "status", status)
}
