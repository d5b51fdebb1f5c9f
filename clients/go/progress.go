package probestream

import "sync"

// progressCounter counts, and tells someone after each change.
type progressCounter struct {
	mu       sync.Mutex
	counts   Progress
	listener func(Progress)
}

func (p *progressCounter) add(wanted, done, sent int64) {
	p.change(func(counts *Progress) {
		counts.BytesWanted += wanted
		counts.BytesDone += done
		counts.BytesSent += sent
	})
}

func (p *progressCounter) finish(failed bool) {
	p.change(func(counts *Progress) {
		counts.ModelsDone++
		if failed {
			counts.ModelsFailed++
		}
	})
}

// bytesSent grows while the server takes something in.
func (p *progressCounter) bytesSent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts.BytesSent
}

func (p *progressCounter) change(how func(*Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.counts)
	if p.listener != nil {
		p.listener(p.counts)
	}
}
