// The Go driver of clients/conformance: lines of JSON in, a case each, and lines of JSON out, an outcome each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/codes"

	"probestream.dev/probestream"
)

type object = map[string]interface{}

type request struct {
	Name    string     `json:"name"`
	Connect connection `json:"connect"`
	Steps   []struct {
		Verb string          `json:"verb"`
		Args json.RawMessage `json:"args"`
	} `json:"steps"`
}

type connection struct {
	Target string `json:"target"`
	TLS    *struct {
		Authority   string `json:"authority"`
		Certificate string `json:"certificate"`
		PrivateKey  string `json:"private_key"`
	} `json:"tls"`
	Token      string `json:"token"`
	DeadlineMs int64  `json:"deadline_ms"`
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := out.Encode(answer(line)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func answer(line []byte) object {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		fmt.Fprintf(os.Stderr, "a case that cannot be read: %v\n", err)
		os.Exit(1)
	}
	client, err := open(asked.Connect)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", asked.Name, err)
		os.Exit(1)
	}
	defer client.Close()
	outcomes := []object{}
	for _, step := range asked.Steps {
		verb, known := verbs[step.Verb]
		if !known {
			return object{"name": asked.Name, "unsupported": "this client has no " + step.Verb}
		}
		result, err := verb(&driver{client, asked.Connect.Target}, context.Background(), step.Args)
		if err != nil {
			outcomes = append(outcomes, object{"error": toError(err)})
		} else {
			outcomes = append(outcomes, object{"ok": result})
		}
	}
	return object{"name": asked.Name, "outcomes": outcomes}
}

func open(c connection) (*probestream.Client, error) {
	options := probestream.Options{Token: c.Token, Deadline: time.Duration(c.DeadlineMs) * time.Millisecond}
	if c.TLS != nil {
		options.TLS = &probestream.TLS{}
		for _, one := range []struct {
			path string
			to   *[]byte
		}{
			{c.TLS.Authority, &options.TLS.Authority},
			{c.TLS.Certificate, &options.TLS.Certificate},
			{c.TLS.PrivateKey, &options.TLS.PrivateKey},
		} {
			if one.path == "" {
				continue
			}
			pem, err := os.ReadFile(one.path)
			if err != nil {
				return nil, err
			}
			*one.to = pem
		}
	}
	return probestream.Connect(c.Target, options)
}

// Names of status codes as gRPC has them.
var codeNames = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

func toError(err error) object {
	var own *probestream.Error
	if !errors.As(err, &own) {
		return object{"code": "UNKNOWN", "reason": "", "message": err.Error()}
	}
	metadata := own.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return object{"code": codeNames[own.Code], "reason": own.Reason, "message": own.Message, "metadata": metadata}
}
