package probestream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Options of Connect. The zero value connects in plaintext.
type Options struct {
	// TLS encrypts the connection where it is set; an empty one trusts the system's authorities.
	TLS *TLS
	// Token is sent with every call as `authorization: Bearer TOKEN`; empty: none. It wants TLS, unless the server is on this machine.
	Token string
	// Deadline bounds every call but uploads, exports and imports; what the context allows is shorter, if it is. 0 stands
	// for 60 s.
	Deadline time.Duration
	// Retries is how often an upload is resumed while the server is unavailable and nothing gets on; other calls that may
	// be repeated are, at most 3 times. 0 stands for 6 times, some 10 s, or a minute at most where something takes
	// connections and never answers; a negative number for never.
	Retries int
}

// TLS says whom to trust, and who this client is.
type TLS struct {
	// Authority has PEM certificates of authorities that sign servers; empty: those of the system.
	Authority []byte
	// Certificate and PrivateKey, PEM, present this client to the server (mTLS).
	Certificate, PrivateKey []byte
	// ServerName is the name that the server's certificate must have where it is not that of the target.
	ServerName string
}

// Client is a connection to a server. It may be used by many goroutines at once.
type Client struct {
	target   string
	conn     *grpc.ClientConn
	deadline time.Duration
	retries  int

	embedding pb.EmbeddingServiceClient
	experts   pb.ExpertServiceClient
	server    pb.ServerServiceClient
	retrieval pb.RetrievalServiceClient
	catalogue pb.CatalogueServiceClient

	limits remembered
	closed atomic.Bool
}

const (
	defaultDeadline = 60 * time.Second
	defaultRetries  = 6
	// Text scores of a whole stream, or the records of a page.
	maxReceiveBytes = 64 << 20
)

// What accepts a connection and says nothing is given up after 10 s, which takes in three lost packets of TCP's
// handshake. All retries of an upload meet five such connections at most: a minute in all, with the pauses. Later
// connections have longer by gRPC's rules, as long as its pauses before them: hence their bound.
var connecting = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
	MinConnectTimeout: 10 * time.Second,
}

// Connect prepares a connection to a server, `HOST:PORT`. Nothing is sent before the first call: a server that is not
// there is met then.
func Connect(target string, options Options) (*Client, error) {
	return connect(target, options, connecting)
}

func connect(target string, options Options, connecting grpc.ConnectParams) (*Client, error) {
	if err := checkTarget(target); err != nil {
		return nil, err
	}
	dial := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
		grpc.WithConnectParams(connecting),
		// A server whose machine is gone answers nothing, not even with an error.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 60 * time.Second, Timeout: 20 * time.Second}),
		// Uploads are resumed by their ids instead.
		grpc.WithDisableRetry(),
		grpc.WithWriteBufferSize(128 << 10),
	}
	if options.TLS != nil {
		config, err := options.TLS.config()
		if err != nil {
			return nil, err
		}
		dial = append(dial, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	} else {
		dial = append(dial, grpc.WithInsecure())
	}
	if options.Token != "" {
		if options.TLS == nil && !isLocal(target) {
			message := fmt.Sprintf("a token would travel to %s in the clear; set Options.TLS", target)
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", message, "target", target)
		}
		if err := checkToken(options.Token); err != nil {
			return nil, err
		}
		dial = append(dial, grpc.WithPerRPCCredentials(bearer(options.Token)))
	}
	conn, err := grpc.Dial(target, dial...)
	if err != nil {
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", fmt.Sprintf("%q is no target: %v", target, err)).because(err)
	}
	c := &Client{
		target:    target,
		conn:      conn,
		deadline:  options.Deadline,
		retries:   options.Retries,
		embedding: pb.NewEmbeddingServiceClient(conn),
		experts:   pb.NewExpertServiceClient(conn),
		server:    pb.NewServerServiceClient(conn),
		retrieval: pb.NewRetrievalServiceClient(conn),
		catalogue: pb.NewCatalogueServiceClient(conn),
		limits:    remembered{lock: make(chan struct{}, 1)},
	}
	if c.deadline <= 0 {
		c.deadline = defaultDeadline
	}
	if c.retries == 0 {
		c.retries = defaultRetries
	} else if c.retries < 0 {
		c.retries = 0
	}
	return c, nil
}

// Close ends the connection, and with it all calls under way.
func (c *Client) Close() error {
	c.closed.Store(true)
	return c.conn.Close()
}

// checkOpen fails once the client is closed; gRPC would say that the call was cancelled.
func (c *Client) checkOpen() *Error {
	if c.closed.Load() {
		return fail(codes.Unavailable, "SHUTTING_DOWN", "the client is closed; connect anew")
	}
	return nil
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if len(t.Authority) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(t.Authority) {
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "TLS.Authority holds no PEM certificate")
		}
	}
	if (len(t.Certificate) > 0) != (len(t.PrivateKey) > 0) {
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "TLS.Certificate and TLS.PrivateKey go together; one is missing")
	}
	if len(t.Certificate) > 0 {
		pair, err := tls.X509KeyPair(t.Certificate, t.PrivateKey)
		if err != nil {
			message := fmt.Sprintf("TLS.Certificate and TLS.PrivateKey cannot be used: %v", err)
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", message).because(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// bearer is a token that goes with every call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// Connect has seen to it that nobody can listen.
func (bearer) RequireTransportSecurity() bool { return false }

func isLocal(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// remembered keeps the server's limits for a while. Whoever has the lock may ask for them.
type remembered struct {
	lock   chan struct{}
	limits *pb.Limits
	asked  time.Time
}

const freshFor = 10 * time.Second

// recentLimits are the server's limits, as it said a while ago at most. It is asked once: callers try again with all that they do.
func (c *Client) recentLimits(ctx context.Context) (*pb.Limits, error) {
	select {
	case c.limits.lock <- struct{}{}:
		defer func() { <-c.limits.lock }()
	case <-ctx.Done():
		return nil, toError(ctx.Err())
	}
	if c.limits.limits != nil && time.Since(c.limits.asked) < freshFor {
		return c.limits.limits, nil
	}
	err := c.callOnce(ctx, func(ctx context.Context) error {
		info, err := c.server.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
		c.limits.limits, c.limits.asked = info.GetLimits(), time.Now()
		return err
	})
	if err != nil {
		c.limits.limits = nil
	}
	return c.limits.limits, err
}
