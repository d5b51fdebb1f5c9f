package probestream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
)

// source is a file, here or remote, read range by range.
type source interface {
	name() string
	size() int64
	// fingerprint tells one state of the file from another.
	fingerprint() string
	stream(ctx context.Context, begin, end int64) (io.ReadCloser, error)
	close()
}

// readRange reads a range whole.
func readRange(ctx context.Context, from source, begin, end int64) ([]byte, error) {
	reader, err := from.stream(ctx, begin, end)
	if err != nil {
		return nil, err
	}
	data := make([]byte, end-begin)
	_, err = io.ReadFull(reader, data)
	if closed := reader.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, toReadError(err, from.name())
	}
	return data, nil
}

// toReadError is what it means when a source ends early or cannot be read.
func toReadError(err error, name string) *Error {
	var own *Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return toError(err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		message := fmt.Sprintf("%q has become shorter since it was opened; open it again", name)
		return fail(codes.DataLoss, "CORRUPT", message, "file", name).because(err)
	}
	return toFileError(err, name)
}

func toFileError(err error, path string) *Error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(codes.NotFound, "FILE_NOT_FOUND", fmt.Sprintf("There is no file %q; check the path.", path), "path", path).because(err)
	case errors.Is(err, fs.ErrPermission):
		message := fmt.Sprintf("%q may not be read by this user; change its permissions.", path)
		return fail(codes.PermissionDenied, "ACCESS_DENIED", message, "path", path).because(err)
	}
	message := fmt.Sprintf("%q could not be read (%v); check the disk and try again.", path, err)
	return fail(codes.Unavailable, "SOURCE_UNAVAILABLE", message, "path", path).because(err)
}

// fileSource is a local file. Closed, it opens again where it is needed, and must be the same then.
type fileSource struct {
	path     string
	file     *os.File
	bytes    int64
	modified time.Time
}

func openFile(path string) (*fileSource, error) {
	// Asked before opening, for opening a named pipe waits until someone writes to it.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		message := fmt.Sprintf("%q is no file; give the path of a .safetensors file or of a folder that holds one model.", path)
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", message, "path", path)
	}
	if err != nil {
		return nil, toFileError(err, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, toFileError(err, path)
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, toFileError(err, path)
	}
	return &fileSource{path, file, info.Size(), info.ModTime()}, nil
}

func (s *fileSource) name() string { return s.path }
func (s *fileSource) size() int64  { return s.bytes }

func (s *fileSource) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

func (s *fileSource) fingerprint() string {
	absolute, err := filepath.Abs(s.path)
	if err != nil {
		absolute = s.path
	}
	return fmt.Sprintf("%s %d %d", absolute, s.bytes, s.modified.UnixNano())
}

func (s *fileSource) stream(_ context.Context, begin, end int64) (io.ReadCloser, error) {
	file := s.file
	if file == nil {
		again, err := openFile(s.path)
		if err != nil {
			return nil, err
		}
		file = again.file
		if again.bytes != s.bytes || !again.modified.Equal(s.modified) {
			file.Close()
			return nil, s.changed()
		}
	}
	return &fileRange{io.NewSectionReader(file, begin, end-begin), s, file}, nil
}

func (s *fileSource) changed() error {
	message := fmt.Sprintf("%q has changed since it was opened; embed it again", s.path)
	return fail(codes.DataLoss, "CORRUPT", message, "file", s.path)
}

type fileRange struct {
	*io.SectionReader
	of   *fileSource
	file *os.File
}

// Close fails if the file was written to meanwhile.
func (r *fileRange) Close() error {
	info, err := r.file.Stat()
	if r.file != r.of.file {
		r.file.Close()
	}
	if err == nil && !info.ModTime().Equal(r.of.modified) {
		return r.of.changed()
	}
	return nil
}

// readerSource is what a caller brings.
type readerSource struct {
	called string
	reader io.ReaderAt
	bytes  int64
}

func (s *readerSource) name() string        { return s.called }
func (s *readerSource) size() int64         { return s.bytes }
func (s *readerSource) fingerprint() string { return newID() }
func (s *readerSource) close()              {}

func (s *readerSource) stream(_ context.Context, begin, end int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.reader, begin, end-begin)), nil
}

// newID is a name that nobody else has.
func newID() string {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic(fmt.Sprintf("the system has no random numbers: %v", err))
	}
	return hex.EncodeToString(id[:])
}
