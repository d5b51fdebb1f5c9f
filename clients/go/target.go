package probestream

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

var (
	// What gRPC resolves by itself, and how is its own affair.
	schemed = regexp.MustCompile(`^(?:dns|ipv4|ipv6|unix|unix-abstract|xds|passthrough):.`)
	// A name or address, an IPv6 one in brackets, and a port.
	hostAndPort = regexp.MustCompile(`^(?:\[[^\][\s]+\]|[^\s:/@?#\[\]]+):([0-9]{1,5})$`)
	httpScheme  = regexp.MustCompile(`(?i)^https?://`)
)

// checkTarget refuses what is not HOST:PORT and has no scheme of gRPC, which would take the port 443 and a host named http.
func checkTarget(target string) *Error {
	if schemed.MatchString(target) {
		return nil
	}
	if found := hostAndPort.FindStringSubmatch(target); found != nil {
		if port, err := strconv.Atoi(found[1]); err == nil && port > 0 && port < 65536 {
			return nil
		}
	}
	advice := ""
	if scheme := httpScheme.FindString(target); scheme != "" {
		advice = fmt.Sprintf(", without %s; Options.TLS is for TLS", scheme)
	}
	message := fmt.Sprintf("the target is %q; give HOST:PORT, such as 127.0.0.1:50051%s", target, advice)
	return fail(codes.InvalidArgument, "FIELD_INVALID", message, "target", target)
}

// checkToken refuses what no header can hold. Messages never hold the token, which is a secret.
func checkToken(token string) *Error {
	if strings.ContainsAny(token, "\r\n") {
		return fail(codes.InvalidArgument, "FIELD_INVALID", "Options.Token holds a line break, as the content of a file does; give it without its line end")
	}
	if strings.IndexFunc(token, func(r rune) bool { return r < 0x21 || r > 0x7e }) >= 0 {
		return fail(codes.InvalidArgument, "FIELD_INVALID", "Options.Token has characters that a header cannot hold; check it")
	}
	return nil
}
