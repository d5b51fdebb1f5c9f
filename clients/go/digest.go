package probestream

import (
	"bytes"
	"context"
	"hash"
	"io"
)

// The grain of digests and of resumption.
const segmentBytes = 8 << 20

// uploadDigest is SHA-256 over the SHA-256 digests of the 8 MiB segments of each range, in order.
type uploadDigest struct {
	all, segment hash.Hash
	filled       int
}

func newUploadDigest() *uploadDigest {
	return &uploadDigest{all: newSHA256(), segment: newSHA256()}
}

// add takes bytes of the range under way, cut anywhere.
func (d *uploadDigest) add(data []byte) {
	for len(data) > 0 {
		piece := data[:min(len(data), segmentBytes-d.filled)]
		d.segment.Write(piece)
		data = data[len(piece):]
		if d.filled += len(piece); d.filled == segmentBytes {
			d.endRange()
		}
	}
}

// addSegments takes digests that are known, 32 bytes each, where a segment begins.
func (d *uploadDigest) addSegments(digests []byte) { d.all.Write(digests) }

// endRange ends a range; its last segment may be shorter.
func (d *uploadDigest) endRange() {
	if d.filled == 0 {
		return
	}
	d.all.Write(d.segment.Sum(nil))
	d.segment.Reset()
	d.filled = 0
}

func (d *uploadDigest) sum() []byte { return d.all.Sum(nil) }

// haveDigests reads a range, which ends where a segment or the tensor does, and compares its segments' digests.
func haveDigests(ctx context.Context, reader io.Reader, digests []byte) (bool, error) {
	var found []byte
	segment := newSHA256()
	for ctx.Err() == nil {
		segment.Reset()
		n, err := io.CopyN(segment, reader, segmentBytes)
		if n > 0 {
			found = segment.Sum(found)
		}
		if err == io.EOF {
			return bytes.Equal(found, digests), nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, ctx.Err()
}
