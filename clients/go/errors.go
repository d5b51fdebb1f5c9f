package probestream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Error is what every call of this package fails with, whether the server refused something or this side did.
type Error struct {
	// Reason is the name of a value of error_reason.proto without its prefix, such as "FILE_NOT_FOUND". It is empty
	// where the caller's context ended, or its deadline passed.
	Reason string
	// Code says what can be done about it: gRPC's status code.
	Code codes.Code
	// Message is a sentence for people: what was found, what is allowed, and what to change.
	Message string
	// Metadata has the facts of the message by name.
	Metadata map[string]string

	cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns what was behind the error on this side: context.Canceled, or an error of the file system, say.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf returns the reason of an error of this package, and "" for any other.
func ReasonOf(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Reason
	}
	return ""
}

// facts are pairs of a name and a value.
func fail(code codes.Code, reason, message string, facts ...interface{}) *Error {
	e := &Error{Code: code, Reason: reason, Message: message}
	if len(facts) > 0 {
		e.Metadata = make(map[string]string, len(facts)/2)
		for i := 0; i+1 < len(facts); i += 2 {
			e.Metadata[fmt.Sprint(facts[i])] = fmt.Sprint(facts[i+1])
		}
	}
	return e
}

func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

func toError(err error) *Error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return fail(codes.Canceled, "", "the call was cancelled").because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return fail(codes.DeadlineExceeded, "", "the call's deadline passed before it was done").because(err)
	}
	return fail(codes.Internal, "INTERNAL", err.Error()).because(err)
}

// fromStatus is the error of a failed call as the server threw it; failures of the transport get a reason of their own.
func fromStatus(ctx context.Context, err error, target string) *Error {
	if ctx.Err() != nil {
		return toError(ctx.Err())
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	st := status.Convert(err)
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return &Error{Reason: info.Reason, Code: st.Code(), Message: st.Message(), Metadata: info.Metadata, cause: err}
		}
	}
	switch st.Code() {
	case codes.Canceled:
		return fail(st.Code(), "", "the call was cancelled").because(context.Canceled)
	case codes.DeadlineExceeded:
		message := fmt.Sprintf("%s did not answer before the call's deadline; Options.Deadline or the context sets it", target)
		return fail(st.Code(), "", message).because(context.DeadlineExceeded)
	case codes.Unavailable:
		if strings.Contains(st.Message(), "first record does not look like a TLS handshake") {
			message := fmt.Sprintf("the server %s speaks no TLS, and this client does; leave Options.TLS out, or start the server with a certificate", target)
			return fail(st.Code(), "SOURCE_UNAVAILABLE", message, "target", target).because(err)
		}
		message := fmt.Sprintf("the server %s cannot be reached: %s; is `probestream serve` running there?", target, cleanDetails(st.Message()))
		return fail(st.Code(), "SOURCE_UNAVAILABLE", message, "target", target).because(err)
	case codes.Unimplemented:
		message := fmt.Sprintf("%s is not a Probestream server, or an older one: %s", target, st.Message())
		return fail(st.Code(), "SOURCE_UNAVAILABLE", message, "target", target).because(err)
	}
	return fail(st.Code(), "INTERNAL", st.Message()).because(err)
}

// cleanDetails leaves out what only gRPC's makers can read.
func cleanDetails(details string) string {
	details = strings.TrimPrefix(details, "connection error: ")
	if rest := strings.TrimPrefix(details, "desc = "); rest != details {
		details = strings.Trim(rest, `"`)
	}
	return strings.TrimPrefix(details, "transport: ")
}

func fromModelError(e *pb.ModelError) *Error {
	reason := strings.TrimPrefix(e.GetReason().String(), "ERROR_REASON_")
	if reason == "UNSPECIFIED" {
		reason = "INTERNAL"
	}
	return &Error{Reason: reason, Code: codes.Code(e.GetCode()), Message: e.GetMessage(), Metadata: e.GetMetadata()}
}
